"""VRAM without a GPU: what PyTorch's caching allocator would hold, and why."""
