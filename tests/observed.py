"""Cards of round rates, and times that a given model takes on them: observations to fit a model of times on."""

from __future__ import annotations

from factories import a_case

from bench.analysis.speed.fit import Kernels, Model
from bench.analysis.speed.observation import Observation
from bench.config import load_gpus
from bench.config.gpus import Gpu, TensorTflops
from bench.core.work import Work

#: Figures that no fit would come to by itself.
TRUTH = Model(Kernels(2.0, 3.0), Kernels(1.5, 4.0), traffic=0.5, launch_s=5e-6)
#: Works of unlike kinds: much of one thing, or of another.
WORKS = (
    Work(convolution_flops=10**13, product_flops=10**10, attention_flops=10**11, elements=10**9),
    Work(convolution_flops=10**12, product_flops=10**11, attention_flops=10**13, elements=10**9),
    Work(convolution_flops=10**11, product_flops=10**10, attention_flops=10**10, elements=10**11),
    Work(convolution_flops=10**12, product_flops=10**10, attention_flops=10**10, elements=10**10, launches=20_000),
)


def a_gpu(half: float = 40, tf32: float | None = 20, vector: float = 10, gb_s: float = 1000) -> Gpu:
    """A card of these TFLOP/s and GB/s; all else is some shipped card's."""
    rates = {"tensor_tflops": TensorTflops(float16=half, bfloat16=half, tf32=tf32)}
    return (
        load_gpus()
        .cards["NVIDIA GeForce RTX 3090"]
        .model_copy(update={**rates, "vector_tflops": vector, "bandwidth_gb_s": gb_s})
    )


#: Three cards, of which none is another one scaled.
GPUS = {"one": a_gpu(), "two": a_gpu(100, 45, 30, 800), "three": a_gpu(20, 12, 9, 2000)}


def observed(card: str, work: Work, dtype: str, seconds: float) -> Observation:
    """A published time of one of `GPUS`."""
    return Observation("published", card, GPUS[card], a_case(model="sd-v1", dtype=dtype, size=512), work, seconds)


def all_observed(truth: Model = TRUTH) -> tuple[Observation, ...]:
    """What each card takes for each work in both precisions, if `truth` holds without error."""
    return tuple(
        observed(card, work, dtype, truth.seconds(work, dtype, gpu))
        for card, gpu in GPUS.items()
        for dtype in ("float16", "float32")
        for work in WORKS
    )
