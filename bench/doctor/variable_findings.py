"""Environment variables that change what is measured, and the effect of each."""

from __future__ import annotations

from collections.abc import Iterator

from bench.doctor.facts import Facts, Finding, note, ok, problem

#: docs.pytorch.org, CUDA Environment Variables; the syntax is in torch's docs on memory management.
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
#: The check of threads covers these.
_EXPECTED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_EFFECTS = {
    "CUDA_VISIBLE_DEVICES": "only these GPUs are visible",
    "CUDA_MODULE_LOADING": "it decides when kernels are loaded; EAGER adds to start-up time and memory",
    "NVIDIA_TF32_OVERRIDE": "it forces TF32 on or off in NVIDIA's libraries, whatever torch is set to",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "it forces TF32 on or off in matrix products, whatever torch is set to",
    "LD_PRELOAD": "it loads libraries first; an allocator among them changes CPU memory and times",
    "GLIBC_TUNABLES": "it changes the C library's heap, and so CPU memory",
}
_PREFIX_EFFECTS = {
    "MALLOC_": "it changes the C library's heap, and so CPU memory",
    "CUDNN_": "it configures cuDNN or its logging",
    "CUBLAS": "it configures cuBLAS's workspace or logging",
    "TORCH_CUDNN_": "it configures how torch uses cuDNN",
    "TORCH_BLAS_": "it selects torch's BLAS library",
}
#: Variables that also matter on the CPU; CUDA_VISIBLE_DEVICES may be the reason why the CPU is measured.
_ON_CPU = ("LD_PRELOAD", "GLIBC_TUNABLES", "CUDA_VISIBLE_DEVICES", "MALLOC_")


def overrides(facts: Facts) -> Iterator[Finding]:
    """A finding for each variable that matters on the device, or a single ok."""
    variables = sorted(facts.host.variables.items())
    findings = [finding for name, value in variables for finding in _judge(facts, name, value)]
    yield from findings or [ok("variables", "no variable is set that changes what is measured")]


def _judge(facts: Facts, name: str, value: str) -> Iterator[Finding]:
    setting = f"{name}={value}"
    if name in _EXPECTED:
        return
    if facts.device is not None and not facts.on_gpu and not name.startswith(_ON_CPU):
        return  # it has no effect on the CPU
    if name == "CUDA_LAUNCH_BLOCKING":
        if value not in {"", "0"}:
            yield problem("variables", f"{setting}: the host waits for every kernel.", f"unset {name}")
    elif name == "PYTORCH_NO_CUDA_MEMORY_CACHING":
        yield problem(
            "variables",
            f"{setting}: torch allocates every tensor through the driver and has no pool to measure.",
            f"unset {name}",
        )
    elif name in _ALLOCATOR:
        yield _allocator(name, value)
    else:
        yield note("variables", f"{setting}: {_effect(name)}.", f"unset {name}, unless it is intended.")


def _allocator(name: str, value: str) -> Finding:
    settings = {key.strip(): text.strip() for key, _, text in (part.partition(":") for part in value.split(","))}
    setting = f"{name}={value}"
    if settings.get("backend") == "cudaMallocAsync":
        return problem(
            "variables",
            f"{setting}: the driver manages the pool, so reserved memory means something else.",
            f"Remove backend:cudaMallocAsync from {name}.",
        )
    if settings.get("expandable_segments", "").lower() == "true":
        return note(
            "variables",
            f"{setting}: reserved memory grows in small steps, so it is not comparable with the docs' tables.",
            f"Remove it from {name} to compare with them.",
        )
    return note(
        "variables",
        f"{setting}: it changes torch's memory pool, and so reserved memory.",
        f"unset {name}, unless it is intended.",
    )


def _effect(name: str) -> str:
    by_prefix = (effect for prefix, effect in _PREFIX_EFFECTS.items() if name.startswith(prefix))
    return _EFFECTS.get(name) or next(by_prefix, "it changes what is measured")
