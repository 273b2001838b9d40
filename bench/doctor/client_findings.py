"""Judges whether the installed diffusers client sends payloads unchanged: one finding per memory layout.

`bench.remote.payloads` gathers the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.units import format_count
from bench.doctor.facts import ClientFacts, Finding, LayoutFacts, PayloadCount, note, ok, problem, warning

_REMEDY = (
    "Keep a contiguous copy on the CPU in a variable, x = t.detach().cpu().contiguous(), and pass it to remote_decode "
    "and remote_encode. `bench remote` does this."
)
_REPORT = "Do not use `bench remote` with these versions, and report them to Hybrid Bench."


def examine_client(facts: ClientFacts) -> tuple[Finding, ...]:
    """A finding for the client, then one for each layout."""
    return (*_client(facts), *(_layout(layout) for layout in facts.layouts))


def _client(facts: ClientFacts) -> Iterator[Finding]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.packages.items()) or "unknown versions"
    if facts.refused is None:
        yield ok("client", f"{versions}: tested remote_decode and remote_encode with an echo server on loopback")
    else:
        yield problem(
            "client",
            f"{versions}: {facts.refused}.",
            "Install what is missing (diffusers 0.33 or later has the client): pip install -U diffusers requests",
        )


def _layout(facts: LayoutFacts) -> Finding:
    """The finding for one layout: a problem if even the remedy fails, a warning if only the direct call does."""
    if facts.not_checked is not None:
        return note(facts.layout, f"not checked: {facts.not_checked}")
    remedied = [count for count in facts.counts if count.kind.remedied]
    direct = [count for count in facts.counts if not count.kind.remedied]
    remedied_faults = [*_faults(remedied), *_crash(facts, remedied=True)]
    if remedied_faults:
        return problem(facts.layout, f"made contiguous on the CPU first: {'; '.join(remedied_faults)}.", _REPORT)
    direct_faults = [*_faults(direct), *_crash(facts, remedied=False)]
    if not direct_faults:
        return ok(facts.layout, f"{_sent(facts.counts)} arrived unchanged")
    return warning(
        facts.layout,
        f"passed directly: {'; '.join(direct_faults)}. Made contiguous on the CPU first: "
        f"{_sent(remedied)} arrived unchanged.",
        _REMEDY,
    )


def _sent(counts: Sequence[PayloadCount]) -> str:
    return format_count(sum(count.sent for count in counts), "payload")


def _faults(counts: Sequence[PayloadCount]) -> Iterator[str]:
    """`decode: 150 of 150 payloads differ`, and the errors that kept payloads from being sent."""
    for operation in ("decode", "encode"):
        of_operation = [count for count in counts if count.kind.operation == operation]
        differing = sum(count.differing for count in of_operation)
        if differing:
            yield f"{operation}: {differing:,} of {_sent(of_operation)} differ"
        yield from dict.fromkeys(f"{operation} {c.kind.dtype}: {c.error}" for c in of_operation if c.error)


def _crash(facts: LayoutFacts, *, remedied: bool) -> Iterator[str]:
    crash = facts.crash
    if crash is not None and crash.kind.remedied is remedied:
        yield f"{crash.kind.operation} {crash.kind.dtype}: the process crashed ({crash.how})"
