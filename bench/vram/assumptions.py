"""The assumptions of every memory prediction about the process that runs the call."""

from __future__ import annotations

from collections.abc import Mapping

#: One sentence for the terminal, JSON and pages.
ASSUMPTIONS = (
    "Memory is predicted for Linux, torch's native caching allocator without expandable segments, no gradients and no "
    "torch.compile; on Windows and WSL the driver may spill into system memory instead of failing."
)
#: Variables and settings that select an allocator which is not modelled.
_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_NOT_MODELLED = ("expandable_segments:true", "backend:cudamallocasync")


def stated(environment: Mapping[str, str]) -> str:
    """The assumptions, and the environment variable that contradicts them, if any."""
    for name in _VARIABLES:
        value = environment.get(name, "").lower().replace(" ", "")
        if any(setting in value for setting in _NOT_MODELLED):
            return f"{ASSUMPTIONS} {name} selects an allocator that is not modelled: unset it to get these figures."
    return ASSUMPTIONS
