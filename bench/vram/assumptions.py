"""The assumptions of every memory prediction about the process that runs the call."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import listed
from bench.record import AllocatorKind
from bench.vram import alloc_conf

_ALLOCATORS: dict[AllocatorKind, str] = {
    "native": "torch's native caching allocator without expandable segments",
    "expandable": "torch's native caching allocator with expandable segments",
}
#: Every torch that the program runs with reads this variable; PYTORCH_ALLOC_CONF came later.
_SETTINGS: dict[AllocatorKind, str] = {
    "native": "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False",
    "expandable": "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
}
_MOST_SETTINGS = 4


def of(allocator: AllocatorKind) -> str:
    """One sentence for the terminal, JSON and pages."""
    return (
        f"Memory is predicted for Linux, {_ALLOCATORS[allocator]}, no gradients and no torch.compile; on Windows and "
        "WSL the driver may spill into system memory instead of failing."
    )


#: The assumptions unless another allocator is chosen.
ASSUMPTIONS = of("native")


def stated(environment: Mapping[str, str], allocator: AllocatorKind = "native") -> str:
    """The assumptions of predictions for an allocator, and what of the environment contradicts them, if anything."""
    conf = alloc_conf.read(environment)
    notes = [of(allocator)]
    if conf.kind != allocator:
        is_set = "is not set" if conf.variable is None else f"is not what {conf.variable} says"
        notes.append(f"That needs {_SETTINGS[allocator]}, which {is_set} here.")
    if conf.not_modelled:
        settings = listed(conf.not_modelled, _MOST_SETTINGS)
        notes.append(f"{conf.variable} also sets what is not modelled: {settings}. Unset it to get these figures.")
    return " ".join(notes)
