"""Predicts VRAM without a GPU: the allocations of a call, the workspaces of its kernels, and torch's allocator."""
