"""Environment variables that change what is measured, and what each of them does to it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.doctor.facts import Facts
from bench.doctor.finding import Finding, note, ok, problem

#: docs.pytorch.org, CUDA Environment Variables; torch's docs on memory management for what ALLOC_CONF holds.
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
#: What they do is said elsewhere, or is no disturbance.
_EXPECTED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_EFFECTS = {
    "CUDA_VISIBLE_DEVICES": "only these GPUs are seen",
    "CUDA_MODULE_LOADING": "when kernels are loaded: EAGER puts it into start-up and memory",
    "NVIDIA_TF32_OVERRIDE": "TF32 is forced on or off in NVIDIA's libraries, whatever torch says",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "TF32 is forced on or off in matrix products, whatever torch says",
    "LD_PRELOAD": "libraries are put before others: an allocator there changes CPU memory and times",
    "GLIBC_TUNABLES": "the C library's heap behaves otherwise, and with it CPU memory",
}
_PREFIX_EFFECTS = {
    "MALLOC_": "the C library's heap behaves otherwise, and with it CPU memory",
    "CUDNN_": "cuDNN is told how to behave or to log",
    "CUBLAS": "cuBLAS is told how much workspace to take, or to log",
    "TORCH_CUDNN_": "torch is told how to use cuDNN",
    "TORCH_BLAS_": "torch is told which BLAS to use",
}
#: What matters where the CPU is measured too; CUDA_VISIBLE_DEVICES may be why it is.
_ON_CPU = ("LD_PRELOAD", "GLIBC_TUNABLES", "CUDA_VISIBLE_DEVICES", "MALLOC_")


def overrides(facts: Facts) -> Iterator[Finding]:
    """One finding a variable that matters on the device; one that all is well if there is none."""
    found = [finding for name, value in sorted(facts.host.variables.items()) for finding in _judge(facts, name, value)]
    yield from found or [ok("variables", "none is set that changes what is measured")]


def _judge(facts: Facts, name: str, value: str) -> Iterator[Finding]:
    said = f"{name}={value}"
    if name in _EXPECTED:
        return
    if facts.device is not None and not facts.on_gpu and not name.startswith(_ON_CPU):
        return  # the CPU does not care
    if name == "CUDA_LAUNCH_BLOCKING":
        if value not in {"", "0"}:
            yield problem("variables", f"{said}: the host waits for every single kernel.", f"unset {name}")
    elif name == "PYTORCH_NO_CUDA_MEMORY_CACHING":
        yield problem(
            "variables", f"{said}: torch asks the driver for every tensor, and has no pool to measure.", f"unset {name}"
        )
    elif name in _ALLOCATOR:
        yield _allocator(name, value)
    else:
        yield note("variables", f"{said}: {_effect(name)}.", f"unset {name}, unless it is meant.")


def _allocator(name: str, value: str) -> Finding:
    settings = {key.strip(): text.strip() for key, _, text in (part.partition(":") for part in value.split(","))}
    said = f"{name}={value}"
    if settings.get("backend") == "cudaMallocAsync":
        return problem(
            "variables",
            f"{said}: the driver keeps the pool, so what torch reports as reserved means something else.",
            f"Take backend:cudaMallocAsync out of {name}.",
        )
    if settings.get("expandable_segments", "").lower() == "true":
        return note(
            "variables",
            f"{said}: reserved memory grows in small steps, so it differs from the docs' tables.",
            "Leave it out for figures to compare with them.",
        )
    return note(
        "variables",
        f"{said}: torch's pool behaves otherwise, and with it reserved memory.",
        f"unset {name}, unless it is meant.",
    )


def _effect(name: str) -> str:
    by_prefix = (effect for prefix, effect in _PREFIX_EFFECTS.items() if name.startswith(prefix))
    return _EFFECTS.get(name) or next(by_prefix, "it changes what is measured")
