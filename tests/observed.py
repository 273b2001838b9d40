"""Cards of round rates, and times that a given model takes on them: observations to fit a model of times on."""

from __future__ import annotations

from typing import Any

from factories import a_case

from bench.analysis.speed.fit import Model, ProductFigures
from bench.analysis.speed.observation import Observation
from bench.config import load_gpus
from bench.config.gpus import Gpu, TensorTflops
from bench.core.work import Kernels

#: Figures that no fit would come to by itself.
TRUTH = Model(
    ProductFigures(2.0, 3.0), ProductFigures(1.5, 4.0), memory=1.25, cache=3.0, normalisation=0.5, launch_s=5e-6
)


def kernels(**counts: Any) -> Kernels:
    """The kernels of a call; what is not given is none."""
    none = {"convolution_flops": 0, "product_flops": 0, "attention_flops": 0, "launches": 0, "blended_lines": 0}
    return Kernels(**none | {"convolved": {}, "moved": {}, "normalised": {}} | counts)


#: Calls of unlike kinds: much of one thing, or of another.
WORKS = (
    kernels(convolution_flops=10**13, product_flops=10**10, attention_flops=10**11, moved={10**9: 1}),
    kernels(convolution_flops=10**12, product_flops=10**11, attention_flops=10**13, convolved={10**8: 3}),
    kernels(convolution_flops=10**11, moved={10**9: 100}),
    kernels(convolution_flops=10**12, moved={10**8: 10}, blended_lines=5000),
    kernels(convolution_flops=10**11, convolved={10**5: 10**6}),
    kernels(convolution_flops=10**11, moved={10**5: 10**6}),
    kernels(convolution_flops=10**11, normalised={(32, 10**8): 20}),
)


def a_gpu(
    half: float = 40, tf32: float | None = 20, vector: float = 25.6, gb_s: float = 1000, sm: int = 100, l2: float = 8
) -> Gpu:
    """A card of these TFLOP/s, GB/s, multiprocessors and MiB of L2; by default of 1 GHz. The rest is an RTX 3090's."""
    rates = {"tensor_tflops": TensorTflops(float16=half, bfloat16=half, tf32=tf32), "vector_tflops": vector}
    update = {**rates, "bandwidth_gb_s": gb_s, "sm_count": sm, "l2_mib": l2}
    return load_gpus().cards["NVIDIA GeForce RTX 3090"].model_copy(update=update)


#: Three cards, of which none is another one scaled.
GPUS = {"one": a_gpu(), "two": a_gpu(100, 45, 60, 800, 90, 64), "three": a_gpu(20, 12, 9, 2000, 40, 2)}


def observed(card: str, work: Kernels, dtype: str, seconds: float, **fields: Any) -> Observation:
    """A published time of one of `GPUS`."""
    case = a_case(**{"model": "sd-v1", "dtype": dtype, "size": 512} | fields)
    return Observation("published", card, case, seconds, GPUS[card], work)


def all_observed(truth: Model = TRUTH) -> tuple[Observation, ...]:
    """What each card takes for each work in both precisions, if `truth` holds without error."""
    return tuple(
        observed(card, work, dtype, truth.seconds(work, dtype, gpu))
        for card, gpu in GPUS.items()
        for dtype in ("float16", "float32")
        for work in WORKS
    )
