"""Which of torch's allocators the environment selects: PYTORCH_CUDA_ALLOC_CONF, else PYTORCH_ALLOC_CONF.

Read as torch 2.13 reads them (c10/core/AllocatorConfig.cpp): if both are set, the first counts alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.record import AllocatorKind

_VARIABLES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
#: Settings that change nothing for the memory of one process on one stream: of pinned memory, of locks and of messages.
_WITHOUT_EFFECT = re.compile(r"pinned_\w+|release_lock_on_\w+|throw_on_cudamalloc_oom|graph_capture_\w+")
_AS_MODELLED = {"expandable_segments:True", "expandable_segments:False", "backend:native"}
#: A comma that is not inside brackets: `roundup_power2_divisions:[256:1,>:4],backend:native`.
_BETWEEN_SETTINGS = re.compile(r",(?![^\[]*\])")


@dataclass(frozen=True, slots=True)
class AllocConf:
    """What the environment says of the allocator.

    Attributes:
        kind: the allocator that it selects.
        variable: the variable that says so; None if neither is set.
        not_modelled: its settings that predictions do not take into account, as they are written.
    """

    kind: AllocatorKind = "native"
    variable: str | None = None
    not_modelled: tuple[str, ...] = ()


def read(environment: Mapping[str, str]) -> AllocConf:
    """The allocator that the environment selects, and the settings that are not modelled."""
    variable = next((name for name in _VARIABLES if name in environment), None)
    if variable is None:
        return AllocConf()
    text = re.sub(r"\s", "", environment[variable])
    settings = [setting for setting in _BETWEEN_SETTINGS.split(text) if setting]
    segments = [setting for setting in settings if setting.startswith("expandable_segments:")]
    kind: AllocatorKind = "expandable" if segments[-1:] == ["expandable_segments:True"] else "native"
    unknown = (setting for setting in settings if setting not in _AS_MODELLED)
    return AllocConf(kind, variable, tuple(s for s in unknown if not _WITHOUT_EFFECT.fullmatch(s.partition(":")[0])))
