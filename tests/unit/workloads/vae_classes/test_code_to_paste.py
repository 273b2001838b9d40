"""The code to paste: run in this process, it gives a module the settings that the measured one has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from factories import a_case

from bench.record import Case, Tile
from bench.workloads import models
from bench.workloads.vae_classes.vae_class import VaeSpec

torch = pytest.importorskip("torch")
vae = pytest.importorskip("bench.workloads.vae_classes.module")
CPU = torch.device("cpu")
#: What `set_up` may set, of any class.
KNOBS = ("use_", "tile_")


def pasted(case: Case, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The `vae` that the code for a case makes. torch compiles nothing; it is only asked to."""
    monkeypatch.setattr(torch, "compile", lambda module, **options: torch.nn.Sequential(module) if options else module)
    names: dict[str, Any] = {}
    exec(models.workload(case.model).code(case, "cpu"), names)  # noqa: S102 - that is what it is for
    return names["vae"]


def knobs(module: Any) -> dict[str, Any]:
    """The settings of a module of diffusers."""
    return {name: value for name, value in vars(module).items() if name.startswith(KNOBS)}


def cases() -> Iterator[Case]:
    """Each small VAE of the zoo that loads without a network, untiled, in a tile, and with another overlap."""
    for key, spec in models.zoo().items():
        if not isinstance(spec, VaeSpec) or spec.hub_id is not None or spec.fault is not None:
            continue
        axes = {axis.name: axis.assumed or 128 for axis in models.axes(key).values()}
        own = models.workload(key).default_tile(key)
        side = own.tile * 2
        axes |= {"width": side, "height": own.rows[0] * 2}
        tilings: list[Any] = ["off", own, Tile(tile=own.tile, overlap=own.tile // 8 * 2)]
        for operation in models.workload(key).operations:
            for tiling in tilings:
                for variant in ("default", *models.workload(key).variants):
                    case = Case(
                        model=key, operation=operation, axes=axes, dtype="float32", tiling=tiling, variant=variant
                    )
                    if not models.workload(key).check(case) and not case.is_variant("compiled"):
                        yield case


@pytest.mark.parametrize("key", sorted({case.model for case in cases()}))
def test_pasted_code_sets_what_the_measured_module_has(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [case for case in cases() if case.model == key]
    measured = vae.VaeOnDevice(mine[0], CPU)
    fresh = knobs(pasted(mine[0].model_copy(update={"tiling": "off", "variant": "default"}), monkeypatch))
    for case in mine:
        measured.set_up(case)
        expected, actual = knobs(measured.module), knobs(pasted(case, monkeypatch))
        if case.tile is None:  # sizes of tiles do nothing then, and the code does not set them
            ignored = {name for name in expected if name.startswith("tile_") and "num_frames" not in name}
            expected = {name: fresh[name] if name in ignored and name in fresh else expected[name] for name in expected}
        assert actual == expected, models.workload(key).code(case, "cpu")


def test_memory_format_precision_and_compiling_are_in_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    case = a_case(operation="decode", size=128, dtype="bfloat16", variant="channels-last+compiled")
    module = pasted(case, monkeypatch)
    (decoder,) = module.decoder  # which the stand-in for torch.compile has wrapped
    assert decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert decoder.conv_in.weight.dtype == torch.bfloat16
    assert isinstance(module.encoder, type(vae.build(models.get("tiny")).encoder))


def test_models_of_the_hub_are_loaded_from_there() -> None:
    case = a_case(model="flux", operation="decode", size=1024, dtype="bfloat16", tiling=Tile(tile=512, overlap=64))
    code = models.workload("flux").code(case, "cuda")
    compile(code, "pasted", "exec")
    assert 'from_pretrained("black-forest-labs/FLUX.1-schnell", subfolder="vae", torch_dtype=torch.bfloat16)' in code
    assert "vae.tile_sample_min_size = 512" in code
    assert "vae.tile_overlap_factor = 0.125" in code
    # an overlap that no float says exactly
    odd = case.model_copy(update={"tiling": Tile(tile=640, overlap=128)})
    assert "Fraction(1, 5)" in models.workload("flux").code(odd, "cuda")
