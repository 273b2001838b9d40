"""Measuring on CUDA: torch's allocator and events, the driver through NVML."""
