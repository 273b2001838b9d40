"""VRAM without a GPU: what a call allocates, what its kernels take besides, and what the allocator makes of it."""
