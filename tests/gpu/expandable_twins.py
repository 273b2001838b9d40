"""Random requests and frees through torch's allocator with expandable segments and through the model of it.

    PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True python tests/gpu/expandable_twins.py SEEDS EVENTS

Compares allocated and reserved bytes and their peaks after every event. Exit code 1 and a line at the first difference.
"""

from __future__ import annotations

import random
import sys

import torch

from bench.core.units import MIB
from bench.vram.blocks import Block
from bench.vram.expandable import ExpandableAllocator


def main() -> int:
    """Compare for each seed; 0 if all events agree."""
    seeds, events = (int(argument) for argument in sys.argv[1:])
    for seed in range(seeds):
        difference = compare(seed, events)
        if difference:
            sys.stdout.write(f"seed {seed}: {difference}\n")
            return 1
    sys.stdout.write(f"{seeds * events} events agree\n")
    return 0


def compare(seed: int, events: int) -> str | None:
    """The first difference of a random sequence, or None. It begins and ends with an empty pool."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    drawn, model = random.Random(seed), ExpandableAllocator()
    live: list[tuple[torch.Tensor, Block]] = []
    for event in range(events):
        kind = drawn.random()
        if kind < 0.03:
            torch.cuda.empty_cache()
            model.empty_cache()
        elif live and kind < 0.5:
            tensor, block = live.pop(drawn.randrange(len(live)))
            del tensor
            model.free(block)
        else:
            size = drawn.choice((drawn.randrange(1, MIB), drawn.randrange(MIB, 24 * MIB), 20 * MIB, 512))
            live.append((torch.empty(size, dtype=torch.uint8, device="cuda"), model.allocate(size)))
        real, modelled = _real(), _modelled(model)
        if real != modelled:
            return f"event {event}: torch has {real}, the model {modelled}"
    live.clear()
    return None


def _real() -> tuple[int, ...]:
    return (
        torch.cuda.memory_allocated(),
        torch.cuda.memory_reserved(),
        torch.cuda.max_memory_allocated(),
        torch.cuda.max_memory_reserved(),
    )


def _modelled(model: ExpandableAllocator) -> tuple[int, ...]:
    return model.allocated_bytes, model.reserved_bytes, model.peak_allocated_bytes, model.peak_reserved_bytes


if __name__ == "__main__":
    sys.exit(main())
