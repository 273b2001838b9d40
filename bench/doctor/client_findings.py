"""What the installed diffusers does to payloads on their way to an endpoint: a finding a layout. Pure.

`bench.remote.payloads` gathers the facts. Imports `record` through its neighbours, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.units import format_count
from bench.doctor.facts import ClientFacts, LayoutFacts, PayloadCount
from bench.doctor.finding import Finding, note, ok, problem, warning

_REMEDY = (
    "Call them with a tensor that is kept in a variable: x = t.detach().cpu().contiguous(), then remote_decode(..., x) "
    "and remote_encode(..., x). `bench remote` does so."
)
_TELL = "Report it to Hybrid Bench with these versions: `bench remote` can't be trusted with them."


def examine_client(facts: ClientFacts) -> tuple[Finding, ...]:
    """The client, then each layout in its order."""
    return (*_client(facts), *(_layout(layout) for layout in facts.layouts))


def _client(facts: ClientFacts) -> Iterator[Finding]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.packages.items()) or "no versions told"
    if facts.refused is None:
        yield ok("client", f"{versions}: remote_decode and remote_encode, against an echo on loopback")
    else:
        yield problem(
            "client",
            f"{versions}: {facts.refused}.",
            "Install what it misses; the client came with diffusers 0.33: pip install -U diffusers requests",
        )


def _layout(facts: LayoutFacts) -> Finding:
    """problem: wrong even with the remedy, or it could not be tried; warning: only without it."""
    if facts.not_checked is not None:
        return note(facts.layout, f"not checked: {facts.not_checked}")
    remedied, direct = ([count for count in facts.counts if count.kind.remedied is way] for way in (True, False))
    crash = facts.crash
    bad = [*_troubles(remedied), *_crash(facts, remedied=True)]
    if bad:
        return problem(facts.layout, f"made contiguous on the CPU first: {'; '.join(bad)}.", _TELL)
    worse = [*_troubles(direct), *_crash(facts, remedied=False)]
    arrived = f"{format_count(sum(count.sent for count in remedied), 'payload')} arrived as they were"
    if not worse and crash is None:
        sent = sum(count.sent for count in facts.counts)
        return ok(facts.layout, f"{format_count(sent, 'payload')} arrived as they were")
    return warning(
        facts.layout, f"passed as it is: {'; '.join(worse)}. Made contiguous on the CPU first: {arrived}.", _REMEDY
    )


def _troubles(counts: Sequence[PayloadCount]) -> Iterator[str]:
    """`decode: 150 of 150 payloads differ`, and what kept others from being sent."""
    for operation in ("decode", "encode"):
        mine = [count for count in counts if count.kind.operation == operation]
        differing, sent = sum(count.differing for count in mine), sum(count.sent for count in mine)
        if differing:
            yield f"{operation}: {differing:,} of {format_count(sent, 'payload')} differ"
        errors = {f"{operation} {count.kind.dtype}: {count.error}": None for count in mine if count.error}
        yield from errors


def _crash(facts: LayoutFacts, *, remedied: bool) -> Iterator[str]:
    crash = facts.crash
    if crash is not None and crash.kind.remedied is remedied:
        yield f"{crash.kind.operation} {crash.kind.dtype}: the process ended ({crash.how})"
