"""What every prediction of memory assumes of the process that runs the call. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: One sentence for the terminal, JSON and pages.
ASSUMPTIONS = (
    "Memory is predicted for Linux, torch's native caching allocator without expandable segments, no gradients and no "
    "torch.compile; on Windows and WSL the driver may spill into system memory instead of failing."
)
#: The variables that choose another allocator, and what in them does so.
_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_OTHERWISE = ("expandable_segments:true", "backend:cudamallocasync")


def stated(environment: Mapping[str, str]) -> str:
    """The assumptions, and which variable of the environment says otherwise."""
    odd = [name for name in _VARIABLES if any(word in _plain(environment.get(name, "")) for word in _OTHERWISE)]
    if not odd:
        return ASSUMPTIONS
    return f"{ASSUMPTIONS} {odd[0]} is set here to an allocator that is not modelled: unset it to get these figures."


def _plain(value: str) -> str:
    return value.lower().replace(" ", "")
