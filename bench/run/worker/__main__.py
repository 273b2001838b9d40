"""The measuring process: `python -m bench.run.worker PARENT_PID`. Joins workloads and meters; never imported.

Exchanges `run/messages.py` on its standard input and output, serves one case after another, and dies with its parent.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.core import identity
from bench.process import lifeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.record import Phase
    from bench.run.messages import Answer, DeviceQuestion, RunCase, RunInterleaved, Start
    from bench.run.worker.session import Session


def _device_answer(request: DeviceQuestion, session: Session) -> Answer:
    """Return the answer to a question of `bench doctor`, `bench calibrate` or `bench quality`."""
    from bench.run import messages  # noqa: PLC0415 - load torch
    from bench.run.worker import measure_ceilings, measure_workspaces  # noqa: PLC0415 - load torch

    if isinstance(request, messages.MeasureCeiling):
        return measure_ceilings.measure(request, session.held)
    if isinstance(request, messages.MeasureWorkspaces):
        return measure_workspaces.measure(request, session.held)
    if isinstance(request, messages.ComparePictures):
        from bench.run.worker import compare_pictures  # noqa: PLC0415 - loads torch

        return compare_pictures.compare(request, session.held)
    return messages.Examined(facts=session.held.facts())


def _answers(
    request: RunCase | RunInterleaved | DeviceQuestion, session: Session, begin: Callable[[Phase], None]
) -> tuple[Answer, ...]:
    """Return one answer per case, or one Broken for all of them; for a question its answer."""
    from bench.run import messages  # noqa: PLC0415 - after the parent's death can be noticed

    if isinstance(request, messages.DeviceQuestion):
        return (_device_answer(request, session),)
    if isinstance(request, messages.RunCase):
        return (session.run(request.case, request.measure, begin),)
    result = session.run_interleaved(request.cases, request.measure, begin)
    return (result,) if isinstance(result, messages.Broken) else result


def _taken(request: Start) -> tuple[Session | None, Answer]:
    """Return the session that has taken the device, if it could, and the answer."""
    from bench.errors import BenchError  # noqa: PLC0415 - after the parent's death can be noticed
    from bench.run import messages, outcome  # noqa: PLC0415
    from bench.run.worker.session import Session  # noqa: PLC0415 - loads torch

    try:
        session = Session(request.device, request.vram_limit_bytes)
    except BenchError as error:
        return None, messages.Refused(reason=str(error))
    except Exception as error:  # noqa: BLE001 - a full card, a card that this torch does not support, ...
        reason = f"--device {request.device} can't be used: {outcome.brief(error).rstrip('.')}."
        advice = "Check that no other program fills the device, and that this torch supports it."
        return None, messages.Refused(reason=f"{reason} {advice}")
    return session, session.ready


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    lifeline.die_with(int(sys.argv[1]))
    output = lifeline.answers()
    lines = lifeline.requests()

    from bench import packages  # noqa: PLC0415
    from bench.errors import PackageError  # noqa: PLC0415
    from bench.run import messages  # noqa: PLC0415 - after the parent's death can be noticed

    def say(answer: Answer) -> None:
        output.write(identity.hide(answer.model_dump_json()) + "\n")  # the only way out for a GPU's UUID
        output.flush()

    try:
        packages.load("The measuring process")
    except PackageError as error:
        lines.get()
        say(messages.Refused(reason=str(error), lacks_package=True))
        return
    from bench.run.worker.look_around import Lookout  # noqa: PLC0415 - loads torch

    lookout = Lookout()
    session: Session | None = None
    while True:
        request = messages.requests.validate_json(lines.get())
        if isinstance(request, messages.Start):
            session, answer = _taken(request)
            say(answer)
        elif isinstance(request, messages.EarlyQuestion):
            say(lookout.answer(request, has_device=session is not None))
        elif session is not None:
            for answer in _answers(request, session, lambda phase: say(messages.PhaseBegun(phase=phase))):
                say(answer)


if __name__ == "__main__":
    main()
