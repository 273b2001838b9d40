"""A checking process without torch, which does as its first argument says; the parent's id follows."""

from __future__ import annotations

import os
import signal
import sys

from bench.doctor import PayloadCount, PayloadKind
from bench.remote.payloads.lines import Ask, Begun, Counted, Finished, InstalledClient, Line, NotChecked


def say(line: Line) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


def die(how: str) -> None:
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "exit":
        sys.exit(3)
    elif how == "hang":
        signal.pause()


def main() -> None:
    how, over = sys.argv[1].split(":") if ":" in sys.argv[1] else (sys.argv[1], "")
    if how == "stillborn":
        sys.exit("no such library")
    ask = Ask.model_validate_json(sys.stdin.readline())
    if how == "refuse":
        say(InstalledClient(packages={"diffusers": "0.30.0"}, refused="no client"))
        return
    say(InstalledClient(packages={"diffusers": "0.42.1"}))
    for layout in ask.layouts:
        if layout == "CUDA":
            say(NotChecked(layout=layout, reason="no CUDA device"))
            continue
        for remedied in (True, False):
            kind = PayloadKind(layout=layout, operation="encode", dtype="float32", remedied=remedied)
            say(Begun(kind=kind))
            if layout == over and not remedied:
                die(how)
            say(Counted(count=PayloadCount(kind=kind, sent=ask.tries, differing=0)))
    say(Finished())


main()
