"""The measuring process: `python -m bench.run.worker PARENT_PID`. Joins workloads and meters; never imported.

Speaks `protocol` on its standard input and output, serves one case after another, and dies with its parent.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from bench import identity, lifeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.record import Phase
    from bench.run.protocol import Answer, Question, RunCase, TakeTurns
    from bench.run.session import Session


def _own_output() -> TextIO:
    """Keep the protocol's pipe to ourselves: whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def _looked(request: Question, session: Session) -> Answer:
    """What `bench doctor` or `bench calibrate` asked of the device."""
    from bench.run import ceilings, protocol, workspaces  # noqa: PLC0415 - load torch

    if isinstance(request, protocol.MeasureCeiling):
        return ceilings.measure(request, session.held)
    if isinstance(request, protocol.MeasureWorkspaces):
        return workspaces.measure(request, session.held)
    return protocol.Examined(facts=session.held.facts())


def _answers(
    request: RunCase | TakeTurns | Question, session: Session, begin: Callable[[Phase], None]
) -> tuple[Answer, ...]:
    """One answer a case, or the one that they could not be measured together; one to each question."""
    from bench.run import protocol  # noqa: PLC0415 - after the parent's death can be noticed

    if isinstance(request, protocol.Question):
        return (_looked(request, session),)
    if isinstance(request, protocol.RunCase):
        return (session.run(request.case, request.measure, begin),)
    said = session.take_turns(request.cases, request.measure, begin)
    return (said,) if isinstance(said, protocol.Broken) else said


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    lifeline.die_with(int(sys.argv[1]))
    output = _own_output()
    lines = lifeline.requests()

    from bench.device.base import UnusableError  # noqa: PLC0415
    from bench.errors import BenchError  # noqa: PLC0415
    from bench.run import outcome, protocol  # noqa: PLC0415 - after the parent's death can be noticed
    from bench.run.session import Session  # noqa: PLC0415 - loads torch

    def say(answer: Answer) -> None:
        output.write(identity.hide(answer.model_dump_json()) + "\n")  # all that the device's side tells goes this way
        output.flush()

    session: Session | None = None
    while True:
        request = protocol.requests.validate_json(lines.get())
        if isinstance(request, protocol.Start):
            try:
                session = Session(request.device, request.vram_limit_bytes)
            except (UnusableError, BenchError) as error:  # the latter of a workload's file
                say(protocol.Refused(reason=str(error)))
            except Exception as error:  # noqa: BLE001 - a full card, a card that this torch has no code for, ...
                say(
                    protocol.Refused(
                        reason=f"--device {request.device}: can't be used: {outcome.brief(error)} "
                        "Is the device full, or in use by others? Is it one that this torch supports?"
                    )
                )
            else:
                say(session.ready)
        elif session is not None:
            for answer in _answers(request, session, lambda phase: say(protocol.PhaseBegun(phase=phase))):
                say(answer)


if __name__ == "__main__":
    main()
