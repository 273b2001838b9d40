"""What bench/core/network.py says of a request against requests over a path of that round trip and those rates.

    python benchmarks/network.py [--requests 3] [--path NAME]... [--way netem|namespaces|relay]

Two sides on this machine are joined by a path (benchmarks/shaped_path), an endpoint that computes nothing waits on one,
and this project's client sends from the other: five paths, four pairs of bodies, http and https, a new connection for
each request and a kept one that rested for at least a second. All requests of a path take turns. First the path alone
is measured, by a tiny exchange and by the second half of a long transfer each way: where it is not what was asked for,
a difference below is not the model's.

`simulated` is the model and the seconds that the endpoint says it waited or computed, `ratio` that over what was
measured; all are medians. `own` is what client and endpoint take beyond that: the same request on the server's side,
less the wait; `with own` is the ratio that counts it as well, as a measurement on loopback would. `sent` is until the
last byte of the request was at the endpoint.

Over two of the paths also a kept connection that never rests, of which the model is one without slow start; and `bench
serve` with the tiny model, which computes and does not say when it had the whole request.

Exits with 1 if of a new connection the ratio with own work is not within 15%: what client and endpoint compute is no
part of the model, and of a request of 70 ms over TLS it is a tenth.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path as File

from shaped_path import WAYS, Joined, joined
from shaped_path.exchange import Bare, Caller, Certificate, Sample, asked, bare, certify, endpoint, place, trust
from shaped_path.kernel import SERVER_HOST
from shaped_path.relay import HOST

from bench.core.network import Connection, Path, request
from bench.remote import http, loopback

PATHS = {
    "same region": Path(0.002, 200e6, 200e6),
    "fibre": Path(0.010, 100e6, 300e6),
    "cable": Path(0.020, 20e6, 100e6),
    "4G": Path(0.050, 10e6, 30e6),
    "transatlantic": Path(0.085, 200e6, 200e6),
}
#: Bytes up and down, by what they are.
BODIES = {
    "SD 512 decode, jpg": (32_768, 100_000),
    "SDXL 1024 decode, jpg": (131_072, 400_000),
    "Flux 1024 decode, tensor": (524_288, 6_291_456),
    "SDXL 1024 encode, png": (1_500_000, 131_072),
}
#: Paths of `bench serve` and of connections that never rest, and what is asked of the former: a latent of SD at 512 px,
#: of which the tiny model makes 128 px.
FURTHER_PATHS = ("cable", "transatlantic")
SERVE = {
    "bench serve, jpg": ({"output_type": "pil", "image_format": "jpg"}, {"Accept": "image/jpeg"}),
    "bench serve, tensor": ({"output_type": "pt"}, {"Accept": "tensor/binary"}),
}
LATENT = {"shape": [1, 4, 64, 64], "dtype": "float16", "do_scaling": False}
LATENT_BYTES = 32_768
#: Of the endpoint; about what a fast GPU takes.
WAIT_S = 0.050
#: Of kept connections: long enough for Linux to begin anew with its window, which it halves each time-out (tcp(7):
#: tcp_slow_start_after_idle).
REST_S = 1.0
#: Requests until the window of a connection that never rests has opened.
BUSY_WARM_UP = 3
WITHIN = (0.85, 1.15)
HEAD = "| path | bodies | scheme | connection | measured ms | simulated | ratio | own | with own | sent | simulated |"


@dataclass(slots=True)
class Case:
    """Requests of one kind over one path, and the same beside the endpoint."""

    names: tuple[str, str]
    connection: Connection
    sent_bytes: int
    over_path: Caller
    beside: Caller
    samples: list[Sample] = field(default_factory=list)
    own: list[Sample] = field(default_factory=list)

    def call(self, sides: Joined) -> None:
        """One sample more of both; a kept connection rests first."""
        with sides.server_side():
            self.own.append(self.beside.call())
        if self.connection == "kept":
            time.sleep(max(0.0, self.over_path.last + REST_S - time.monotonic()))
        with sides.client_side():
            self.samples.append(self.over_path.call())

    def forget(self) -> None:
        """Let go of the first sample."""
        del self.samples[0], self.own[0]


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of one case, in seconds."""

    names: tuple[str, ...]
    connection: Connection
    measured_s: float
    simulated_s: float
    own_s: float
    measured_sent_s: float
    simulated_sent_s: float

    @property
    def ratio(self) -> float:
        """Simulated over measured."""
        return self.simulated_s / self.measured_s

    @property
    def ratio_with_own(self) -> float:
        """The same, client's and endpoint's own work counted."""
        return (self.simulated_s + self.own_s) / self.measured_s

    def __str__(self) -> str:
        cells = [*self.names, self.connection, _ms(self.measured_s), _ms(self.simulated_s), f"{self.ratio:.2f}"]
        cells += [_ms(self.own_s), f"{self.ratio_with_own:.2f}"]
        cells += ["-" if math.isnan(self.measured_sent_s) else _ms(self.measured_sent_s), _ms(self.simulated_sent_s)]
        return f"| {' | '.join(cells)} |"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"


def row(name: str, path: Path, case: Case) -> Row:
    """What the model says of a case beside what was measured. Of own work, only what the endpoint does not say."""
    way = request(
        replace(path, tls=case.names[1] == "https"), case.sent_bytes, case.samples[0].received_bytes, case.connection
    )
    waited_s = statistics.median(sample.waited_s for sample in case.samples)
    own_s = statistics.median(sample.wall_s - sample.waited_s for sample in case.own)
    return Row(
        names=(name, *case.names),
        connection=case.connection,
        measured_s=statistics.median(sample.wall_s for sample in case.samples),
        simulated_s=way.total_s + waited_s,
        own_s=own_s,
        measured_sent_s=statistics.median(sample.sent_s for sample in case.samples),
        simulated_sent_s=way.connect_s + way.tls_s + way.upload_s,
    )


@contextmanager
def standin_cases(sides: Joined, certificate: Certificate) -> Iterator[tuple[list[Case], Bare]]:
    """Every case of one path, and the path alone."""
    with ExitStack() as stack:
        places = {
            "http": stack.enter_context(endpoint(sides)),
            "https": stack.enter_context(endpoint(sides, certificate)),
        }
        alone = bare(sides, places["http"].over_path)
        made = []
        for bodies, (up, down) in BODIES.items():
            for scheme, at in places.items():
                posts = [asked(address, up, down, WAIT_S) for address in (at.over_path, at.beside)]
                made += both(stack, (bodies, scheme), posts)
        yield made, alone


@contextmanager
def serve_cases(sides: Joined) -> Iterator[list[Case]]:
    """Every case of `bench serve` on the server's side."""
    with ExitStack() as stack:
        with sides.server_side():
            arguments, env = ("--host", sides.server_host), {"OMP_NUM_THREADS": "1"}
            server = stack.enter_context(loopback.serving(["tiny"], arguments=arguments, env=env))
        at = place(sides, "http", server.address.port)
        made = []
        for name, asked_for in SERVE.items():
            made += both(stack, (name, "http"), [decode(address, *asked_for) for address in (at.over_path, at.beside)])
        yield made


def decode(address: http.Address, parameters: dict[str, str], headers: dict[str, str]) -> http.Post:
    """A latent to be decoded by `bench serve`."""
    headers = {"Content-Type": "tensor/binary", **headers}
    return http.Post(address.below("tiny/decode"), {**parameters, **LATENT}, headers, bytes(LATENT_BYTES))


def both(stack: ExitStack, names: tuple[str, str], posts: list[http.Post]) -> list[Case]:
    """The case over new connections and over a kept one; each has clients of its own, which the stack closes."""
    made = []
    for connection in ("new", "kept"):
        over_path, beside = (Caller(post, kept=connection == "kept") for post in posts)
        for caller in (over_path, beside):
            stack.callback(caller.close)
        made.append(Case(names, connection, len(posts[0].data), over_path, beside))
    return made


def busy(name: str, sides: Joined, cases: list[Case], requests: int) -> list[Row]:
    """Print the rows of kept connections over which one request follows another: the model without slow start."""
    path, rows = replace(sides.path, slow_start=False), []
    for case in [case for case in cases if case.connection == "kept" and case.names[1] == "http"]:
        with sides.client_side():
            case.samples[:] = [case.over_path.call() for _ in range(BUSY_WARM_UP + requests)][BUSY_WARM_UP:]
        rows.append(row(name, path, replace(case, names=(f"{case.names[0]}, no rest", case.names[1]))))
    show(rows)
    return rows


def measure(name: str, sides: Joined, cases: list[Case], requests: int) -> list[Row]:
    """Print the rows of one path, whose cases take turns; the first request of each does not count."""
    for turn in range(requests + 1):
        for case in cases if turn % 2 else reversed(cases):
            case.call(sides)
    for case in cases:
        case.forget()
    rows = [row(name, sides.path, case) for case in cases]
    show(rows)
    return rows


def show(rows: list[Row]) -> None:
    """A table of them."""
    print(HEAD)
    print("|---" * (HEAD.count("|") - 1) + "|")
    print("\n".join(map(str, rows)), flush=True)


def through_path(name: str, among: tuple[str, ...], requests: int, certificate: Certificate) -> list[Row]:
    """Print what a path alone is and its rows, the real endpoint's too where it is one of theirs."""
    path = PATHS[name]
    with joined(path, among) as sides:
        with standin_cases(sides, certificate) as (cases, alone):
            print(f"\n{name}: asked for {said(path)}; the path alone: {said(alone)}\n")
            rows = measure(name, sides, cases, requests)
            if name in FURTHER_PATHS:
                print()
                rows += busy(name, sides, cases, requests)
        if name in FURTHER_PATHS:
            with serve_cases(sides) as cases:
                print()
                rows += measure(name, sides, cases, requests)
    return rows


def said(path: Path | Bare) -> str:
    """Its three figures."""
    return f"{path.rtt_s * 1e3:.2f} ms, {path.up_bit_s / 1e6:.1f} up and {path.down_bit_s / 1e6:.1f} Mbit/s down"


def introduce(among: tuple[str, ...]) -> None:
    """Say what the paths are made of."""
    with joined(PATHS["cable"], among) as sides:
        print(f"path: {sides.name} ({sides.made_of})")
        for reason in sides.passed_over:
            print(f"not {reason}")


def conclude(rows: list[Row]) -> int:
    """Print how far off new connections are; 1 if one is too far."""
    new = [row for row in rows if row.connection == "new"]
    wrong = [row for row in new if not WITHIN[0] <= row.ratio_with_own <= WITHIN[1]]
    for each in wrong:
        print(f"too far off: {', '.join(each.names)}: {each.ratio_with_own:.2f}")
    for kind, some in (("new", new), ("kept", [row for row in rows if row not in new])):
        plain, with_own = sorted(row.ratio for row in some), sorted(row.ratio_with_own for row in some)
        print(
            f"{kind} connections, {len(some)} cases: simulated over measured {plain[0]:.2f} to {plain[-1]:.2f}, "
            f"with own work {with_own[0]:.2f} to {with_own[-1]:.2f}"
        )
    return 1 if wrong else 0


def main() -> int:
    """Print a table for each path; 1 if a new connection's simulated is too far off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--path", action="append", choices=PATHS)
    parser.add_argument("--way", choices=WAYS)
    arguments = parser.parse_args()
    among = (arguments.way,) if arguments.way else tuple(WAYS)
    introduce(among)
    print(f"{arguments.requests} requests a case, after one that does not count; the endpoint waits {_ms(WAIT_S)} ms")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        certificate = certify(File(folder), SERVER_HOST, HOST)
        trust(certificate)
        for name in arguments.path or PATHS:
            rows += through_path(name, among, arguments.requests, certificate)
    print()
    return conclude(rows)


if __name__ == "__main__":
    sys.exit(main())
