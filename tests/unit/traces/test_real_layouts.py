"""Layouts of a trace against a real run on the CPU, convolution by convolution, with the torch that is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories import a_case

from bench.record import Case, Tile
from bench.traces import operators, strides, trace
from bench.workloads.vae_classes.module import VaeOnDevice

#: Path of the module, shape of its input, and whether torch's convolution takes it to be channels-last.
Seen = tuple[str, tuple[int, ...], bool]
TILE = Tile(tile=32, overlap=8)
#: How a model is called. A tile of 32 px on 64 px gives nine, four of them of one shape.
WHOLE: list[dict[str, Any]] = [{}, {"batch": 2}]
IN_PARTS: list[dict[str, Any]] = [{"tiling": TILE}, {"batch": 2, "tiling": TILE}, {"batch": 2, "variant": "sliced"}]
#: sd-v1, sdxl and flux have one encoder and decoder: flux has other latent channels and no quant_conv.
CALLS = [
    *(("tiny", options) for options in (*WHOLE, *IN_PARTS)),
    *(("sd-v1", options) for options in (*WHOLE, IN_PARTS[1])),
    *((model, options) for model in ("sdxl", "flux") for options in WHOLE),
]


def run(case: Case) -> list[Seen]:
    """The convolutions of one real call, by hooks alone."""
    seen: list[Seen] = []
    workload = VaeOnDevice(case, torch.device("cpu"))

    def note(path: str) -> Any:
        def before(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            laid = tuple(inputs[0].shape), tuple(inputs[0].stride())
            seen.append((path, laid[0], strides.suggests_channels_last(laid)))

        return before

    for path, module in workload.module.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(note(path))
    with torch.inference_mode():
        workload.prepare(case).run()
    return seen


def traced(case: Case, device: operators.Device) -> list[Seen]:
    """The convolutions of the trace, those of a pass that is repeated as often as it is."""
    found = trace.capture(case, device)
    events = [inner for event in found.events for inner in getattr(event, "events", (event,))]
    kernels = [(event.module, event.kernel) for event in events if getattr(event, "operator", "") == "convolution"]
    return [(path, kernel.input, kernel.channels_last) for path, kernel in kernels]


@pytest.mark.parametrize("operation", ["encode", "decode"])
@pytest.mark.parametrize(("model", "options"), CALLS, ids=str)
def test_each_convolution_takes_the_layout_that_it_has_in_a_real_run(
    model: str, operation: str, options: dict[str, Any]
) -> None:
    case = a_case(model=model, operation=operation, size=64, **options)
    real = run(case)
    assert traced(case, "cpu") == real
    # CUDA's layouts are the same for one image at a time: only its normalisations differ, and only for batches
    if case.axes["batch"] == 1 or case.variant == "sliced":
        assert traced(case, "cuda") == real


def test_a_decode_of_one_image_is_contiguous_from_the_first_upsampling_on_and_of_two_is_not() -> None:
    one, two = (run(a_case(model="sd-v1", operation="decode", size=64, batch=batch)) for batch in (1, 2))
    assert [path for path, _, last in one if last and ".up_blocks." in path] == []
    assert {last for path, _, last in two if ".up_blocks." in path} == {True}
