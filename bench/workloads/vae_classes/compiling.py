"""torch.compile for the halves of a VAE: what the variant `compiled` runs.

Encoder and decoder are compiled, not `vae.encode` and `vae.decode`: of those, torch would unroll the loop over tiles
into one graph. `fullgraph` makes torch raise where it would otherwise run a part eagerly and say nothing.

Group normalisation has no switch between eager and fused kernels in diffusers: torch.compile is what fuses it, with the
activation that follows. Compiling the GroupNorm modules alone does nothing, because torch skips the code of its own
modules (torch 2.13, `torch/_dynamo/trace_rules.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.errors import printable
from bench.workloads.base import CompileError

#: The submodules that run once per pass.
_HALVES = ("encoder", "decoder")
#: Characters of a compiler's message that are kept.
_LONGEST = 300


def replace_halves(vae: Any) -> None:
    """Put compiled halves in the place of a VAE's encoder and decoder; each compiles when it is first called."""
    for name in _HALVES:
        setattr(vae, name, torch.compile(getattr(vae, name), fullgraph=True))


def compile_by(call: Callable[[], object]) -> None:
    """Compile what a call needs, by calling it, and nothing that earlier calls compiled.

    Earlier calls matter: after a second size torch compiles for all sizes, and those kernels may be slower. Raises
    CompileError, or what the call itself raises, such as out-of-memory.
    """
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - loads the compiler, which takes seconds

    torch.compiler.reset()
    try:
        call()
    except TorchDynamoException as error:
        raise CompileError(f"torch.compile failed: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of a message, and the next ones while a colon announces them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    last = next((place for place, line in enumerate(lines) if not line.endswith(":")), 0)
    return printable(" ".join(lines[: last + 1]), _LONGEST)
