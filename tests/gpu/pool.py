"""The pool of torch's allocator between tests, for all that need a GPU. Loads torch."""

from __future__ import annotations

import gc

import torch


def empty_pool() -> None:
    """Give back all that is cached. cuBLAS's workspaces lie in the pool from the first matrix product on."""
    gc.collect()
    torch.cuda.synchronize()
    if clear_workspaces := getattr(torch._C, "_cuda_clearCublasWorkspaces", None):
        clear_workspaces()
    torch.cuda.empty_cache()


def require_empty_pool() -> None:
    """Empty the pool. Fails if something in this process still holds memory of the GPU: the test before leaked it."""
    empty_pool()
    held = torch.cuda.memory_allocated()
    assert not held, f"{held} bytes of the GPU are held by something else in this process"
