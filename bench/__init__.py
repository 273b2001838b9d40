"""Hybrid Bench: what diffusion VAEs cost on a GPU, in seconds, in VRAM and in money."""
