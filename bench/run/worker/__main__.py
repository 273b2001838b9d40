"""The measuring process: `python -m bench.run.worker PARENT_PID`. Joins workloads and meters; never imported.

Speaks `protocol` on its standard input and output, serves one case after another, and dies with its parent.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from bench.core import identity
from bench.process import lifeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.record import Phase
    from bench.run.messages import Answer, Question, RunCase, TakeTurns
    from bench.run.worker.session import Session


def _own_output() -> TextIO:
    """Keep the protocol's pipe to ourselves: whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def _looked(request: Question, session: Session) -> Answer:
    """What `bench doctor` or `bench calibrate` asked of the device."""
    from bench.run import messages  # noqa: PLC0415 - load torch
    from bench.run.worker import measure_ceilings, measure_workspaces  # noqa: PLC0415 - load torch

    if isinstance(request, messages.MeasureCeiling):
        return measure_ceilings.measure(request, session.held)
    if isinstance(request, messages.MeasureWorkspaces):
        return measure_workspaces.measure(request, session.held)
    return messages.Examined(facts=session.held.facts())


def _answers(
    request: RunCase | TakeTurns | Question, session: Session, begin: Callable[[Phase], None]
) -> tuple[Answer, ...]:
    """One answer a case, or the one that they could not be measured together; one to each question."""
    from bench.run import messages  # noqa: PLC0415 - after the parent's death can be noticed

    if isinstance(request, messages.Question):
        return (_looked(request, session),)
    if isinstance(request, messages.RunCase):
        return (session.run(request.case, request.measure, begin),)
    said = session.take_turns(request.cases, request.measure, begin)
    return (said,) if isinstance(said, messages.Broken) else said


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    lifeline.die_with(int(sys.argv[1]))
    output = _own_output()
    lines = lifeline.requests()

    from bench.device.base import UnusableError  # noqa: PLC0415
    from bench.errors import BenchError  # noqa: PLC0415
    from bench.run import messages, outcome  # noqa: PLC0415 - after the parent's death can be noticed
    from bench.run.worker.session import Session  # noqa: PLC0415 - loads torch

    def say(answer: Answer) -> None:
        output.write(identity.hide(answer.model_dump_json()) + "\n")  # all that the device's side tells goes this way
        output.flush()

    session: Session | None = None
    while True:
        request = messages.requests.validate_json(lines.get())
        if isinstance(request, messages.Start):
            try:
                session = Session(request.device, request.vram_limit_bytes)
            except (UnusableError, BenchError) as error:  # the latter of a workload's file
                say(messages.Refused(reason=str(error)))
            except Exception as error:  # noqa: BLE001 - a full card, a card that this torch has no code for, ...
                say(
                    messages.Refused(
                        reason=f"--device {request.device}: can't be used: {outcome.brief(error)} "
                        "Is the device full, or in use by others? Is it one that this torch supports?"
                    )
                )
            else:
                say(session.ready)
        elif session is not None:
            for answer in _answers(request, session, lambda phase: say(messages.PhaseBegun(phase=phase))):
                say(answer)


if __name__ == "__main__":
    main()
