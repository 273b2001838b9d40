"""Layouts of a trace against a real run on the CPU, with the torch that is installed.

Convolution by convolution for whole calls; for the small model of each class also operator by operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from factories import a_case
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from bench.record import Axes, Case, Tile
from bench.traces import composed, kernels, operators, strides, trace
from bench.workloads import models
from bench.workloads.labels import label_of
from bench.workloads.vae_classes.module import VaeOnDevice
from bench.workloads.vae_classes.vae_class import VaeSpec

#: Path of the module, shape of its input, and whether torch's convolution takes it to be channels-last.
Seen = tuple[str, tuple[int, ...], bool]
TILE = Tile(tile=32, overlap=8)
#: How a model is called. A tile of 32 px on 64 px gives nine, four of them of one shape.
WHOLE: list[dict[str, Any]] = [{}, {"batch": 2}]
IN_PARTS: list[dict[str, Any]] = [{"tiling": TILE}, {"batch": 2, "tiling": TILE}, {"batch": 2, "variant": "sliced"}]
#: sdxl has the modules of sd-v1. Flux has the same encoder and decoder, with other latent channels and no quant_conv.
CALLS = [
    *(("tiny", options) for options in (*WHOLE, *IN_PARTS)),
    *(("sd-v1", options) for options in (*WHOLE, IN_PARTS[1])),
    *(("flux", options) for options in WHOLE),
]


def run(case: Case) -> list[Seen]:
    """The convolutions of one real call, by what its modules give to torch's functions."""
    seen: list[Seen] = []
    workload = VaeOnDevice(case, torch.device("cpu"))
    paths = [""]
    for path, module in workload.module.named_modules():
        module.register_forward_pre_hook(lambda _module, _inputs, path=path: paths.append(path))
        module.register_forward_hook(lambda *_: paths.pop() and None)

    def note(values: torch.Tensor) -> None:
        laid = tuple(values.shape), tuple(values.stride())
        # The CPU's convolutions take videos as contiguous, whatever their layout
        seen.append((paths[-1], laid[0], values.dim() == 4 and strides.suggests_channels_last(laid)))

    with torch.inference_mode(), _watching(note):
        workload.prepare(case).run()
    return seen


@contextmanager
def _watching(note: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """Note the input of each convolution, with what is put around it before."""
    functions = torch.nn.functional

    def watched(convolve: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def convolve_and_note(values: torch.Tensor, *args: Any) -> torch.Tensor:
            note(values)
            return convolve(values, *args)

        return convolve_and_note

    with pytest.MonkeyPatch.context() as patch:
        for name in ("conv2d", "conv3d"):
            patch.setattr(functions, name, watched(getattr(functions, name)))
        yield


def traced(case: Case, device: composed.Device) -> list[Seen]:
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


def small_models() -> list[Case]:
    """Encode and decode with the small model of each class, whole and in tiles if diffusers can."""
    cases = []
    for key, spec in models.zoo().items():
        if isinstance(spec, VaeSpec) and key.startswith("tiny") and key != "tiny":
            for operation in spec.vae_class.operations:
                whole = {"model": key, "operation": operation, "dtype": "float32", "axes": models.square(key, 64)}
                tiled = Case(**{**whole, "axes": {**whole["axes"], "width": 96}, "tiling": spec.tile})
                cases += [Case(**whole), *([] if spec.vae_class.tile_refusal(spec, tiled) else [tiled])]
    return cases


def small_layouts() -> list[Case]:
    """Those in tiles, whose first tile is a whole call of 64 px, and the whole calls of what has no tiles."""
    cases = small_models()
    tiled = {(case.model, case.operation) for case in cases if case.tile}
    return [case for case in cases if case.tile or (case.model, case.operation) not in tiled]


@pytest.mark.parametrize("case", small_layouts(), ids=label_of)
def test_each_convolution_of_a_class_takes_the_layout_that_it_has_in_a_real_run(case: Case) -> None:
    assert traced(case, "cpu") == run(case)


class _Compared(TorchDispatchMode):
    """Runs each kernel on real tensors, and collects those whose results lie otherwise than the rules say."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()
        self.differing: list[object] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        parts = operators.decomposition(func, args, "cpu")
        if parts is not None:
            with self:
                return parts(*args, **kwargs)
        result = func(*args, **kwargs)
        if func not in kernels.PRODUCTS and not operators._is_view(result, args):
            self.seen.add(str(func))
            expected = operators.run(func, *tree_map(_on_meta, (args, kwargs)), "cpu")
            for real, ruled in zip(tree_leaves(result), tree_leaves(expected), strict=True):
                # in 16 bits a video's convolution lies as the CPU chooses: channels-last where it computes in bfloat16
                known = 2 if func == torch.ops.aten.convolution.default and real.dim() == 5 else 3
                if _described(real)[:known] != _described(ruled)[:known]:
                    self.differing.append((str(func), _described(real), _described(ruled)))
        return result


def _on_meta(value: Any) -> Any:
    is_tensor = isinstance(value, torch.Tensor)
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta") if is_tensor else value


def _described(values: torch.Tensor) -> tuple[object, ...]:
    """Precision, shape, and the strides of dimensions that have several indices."""
    steps = [step for size, step in zip(values.shape, values.stride(), strict=True) if size > 1]
    return values.dtype, tuple(values.shape), steps


def small_calls() -> list[Case]:
    """Their whole calls at the smallest size whose latents have two pixels a side: on many CPUs 16 bits take long."""
    calls = []
    for case in small_models():
        if case.tile is None:
            side = max(32, 2 * models.get(case.model).spatial_factor)
            calls.append(case.model_copy(update={"axes": Axes({**case.axes, "width": side, "height": side})}))
    return calls


@pytest.mark.parametrize("case", small_calls(), ids=label_of)
def test_each_operator_of_a_class_gives_what_the_rules_say(case: Case) -> None:
    # Given a call in 16 bits, in which some classes compute in 32
    call = VaeOnDevice(case.model_copy(update={"dtype": "bfloat16"}), torch.device("cpu")).prepare(case)
    with torch.inference_mode(), _Compared() as compared:
        call.run()
    assert compared.differing == []
    assert "aten.convolution.default" in compared.seen
