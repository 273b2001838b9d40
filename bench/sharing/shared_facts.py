"""Files with facts of a device (ceilings, workspaces, compared pictures) in two versions: which one counts."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from bench import store
from bench.errors import ResultsError
from bench.sharing.hub_layout import facts_device


def newer_facts(path: str, ours: bytes, theirs: bytes) -> bytes:
    """The version that was recorded later, as wherever such files are read; ours if theirs can't be used."""
    if problem_of(path, theirs) is not None:
        return ours
    name = Path(PurePosixPath(path).name)
    return theirs if store.facts_of(name, theirs).recorded_at > store.facts_of(name, ours).recorded_at else ours


def problem_of(path: str, content: bytes) -> str | None:
    """Why a repository's file with facts of a device can't be used; None if it can."""
    try:
        facts = store.facts_of(Path(PurePosixPath(path).name), content)
    except ResultsError as error:
        return str(error)
    if store.stand_in_of(facts.environment) is not None:
        return f"{path}: made with a stand-in for the device"
    if facts.device.slug != facts_device(path):
        return f"{path}: the facts are of another device than its folder's"
    return None
