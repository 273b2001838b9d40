"""The ways in which a card can compute an image, ordered by how much they change the picture.

Untiled in the requested precision changes nothing, and neither does slicing a batch. Tiles change the picture where
they meet, small ones more than large ones: there are more seams, and each tile's statistics (group normalisation,
attention) cover less of the image. A lower precision changes the whole picture, and another VAE for the same latents,
such as a tiny one, makes another picture: it was trained to come close.

If the card does not compute in the requested precision, or may give black images in it, float32 takes its place unless
the user asked for the precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.analysis.advise.card import Place
from bench.analysis.advise.precision import Hazard, Lack, lack
from bench.core.units import QUANTISED
from bench.errors import ConfigError
from bench.record import Case, Tile, alike_but_for
from bench.workloads import models, passes
from bench.workloads.base import SIDES
from bench.workloads.labels import FRAMES, size_of, takes_tiles

#: Variants that compute the same picture.
_EXACT_VARIANTS = ("default", "sliced", "cpu-offload", "sequential-offload")
#: What float32 can be lowered to.
_LOWER = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Option:
    """One way to compute an image on a card.

    Attributes:
        case: the case to run.
        change: its place in the order of how much the picture changes.
        risk: what its precision risks in this model and on this card; empty if nothing is known.
        is_lower: whether its precision is lower than the requested one.
        last_resort: whether to consider it only if nothing in the requested precision fits comfortably.
        is_substitute: whether its precision replaces the requested one, which the card can't use.
        is_other_vae: whether another model with the same latents takes the place of the requested one.
        hazard: why it is ranked after the ways without one. None for a precision that the user asked for, unless the
            card lacks it.
    """

    case: Case
    change: int
    risk: str = ""
    is_lower: bool = False
    last_resort: bool = False
    is_substitute: bool = False
    is_other_vae: bool = False
    hazard: Hazard | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it leaves the picture unchanged, as slicing does."""
        is_whole = self.case.tile is None and self.case.variant in _EXACT_VARIANTS
        return is_whole and not self.is_lower and not self.is_other_vae

    @property
    def other_model(self) -> str | None:
        """The model that takes the place of the requested one; None if none does."""
        return self.case.model if self.is_other_vae else None

    @property
    def names_precision(self) -> bool:
        """Whether its precision is another than the requested one, so that its label names it."""
        return self.is_lower or self.is_substitute

    @property
    def label(self) -> str:
        """`untiled`, `tile 512/128`, `float16, tile 512/128`, `sliced, untiled`, `taesd, untiled`.

        Of a model that has no tiles: `local`, `sequential-offload`, `nf4`.
        """
        case = self.case
        parts = [case.model] if self.is_other_vae else []
        parts += [case.dtype] if self.names_precision else []
        parts += [case.variant] if case.variant != "default" else []
        if case.tile is not None:
            parts.append(f"tile {case.tile.label}")
        elif takes_tiles(case):
            parts.append("untiled")
        return ", ".join(parts or ["local"])


def check_size(image: Case) -> None:
    """Raise ConfigError for a size that the image's model can't take, by the name of the option that gives it."""
    for axis in models.workload(image.model).axes(image.model):
        if refusal := axis.check(image.axes[axis.name]):
            given = f"--resolution {size_of(image, FRAMES)}" if axis.name in SIDES else f"--{axis.name}"
            raise ConfigError(f"{given}: {refusal}.")


def of(
    image: Case, place: Place | None = None, *, lower: bool = True, fixed: bool = False, others: bool = False
) -> tuple[Option, ...]:
    """The options for an image, given as its untiled case, on a card (None: any).

    Lower precisions are added only if `lower`. They are tried untiled, with the zoo's tile and with the smallest tile;
    a batch whole and sliced. If the precision is `fixed`, because the user asked for it, there is no other. Other VAEs
    with the same latents are added only if `others`.
    Raises ConfigError for a size that the model can't take.
    """
    workload, usual = models.workload(image.model), models.workload(image.model).default_tile(image.model)
    check_size(image)
    tiles = workload.tiles_to_try(image)
    few = list(dict.fromkeys([*(tile for tile in tiles if usual and tile.tile == usual.tile), *tiles[-1:]]))
    zoos = [None, *(tile for tile in few if usual and tile.tile == usual.tile)]
    lacks = {dtype: None if place is None else lack(dtype, place) for dtype in (image.dtype, *_LOWER)}
    is_replaced = not fixed and (own := lacks[image.dtype]) is not None and own.hazard is not None
    cases = list(_cases(image, tiles))
    if is_replaced and image.dtype != "float32":
        cases += _cases(image.model_copy(update={"dtype": "float32"}), tiles)
    for dtype in _lower_than(image.dtype, workload.precisions, is_replaced=is_replaced) if lower and not fixed else ():
        cases += _cases(image.model_copy(update={"dtype": dtype}), few)
    options = tuple(
        _option(case, image, change, lacks.get(case.dtype), fixed=fixed, is_usual=case.tile in zoos)
        for change, case in enumerate(cases)
    )
    return (*options, *(_other_vaes(image, place, len(options), fixed=fixed) if others else ()))


def _other_vaes(image: Case, place: Place | None, changes: int, *, fixed: bool) -> Iterator[Option]:
    """Each other VAE with the same latents, untiled, and in its own tiles if nothing else fits."""
    for key in models.smaller_alike(image.model):
        workload, dtype = models.workload(key), image.dtype if fixed else models.get(key).dtype
        lacking = None if place is None else lack(dtype, place)
        if lacking is not None and lacking.hazard is not None and not fixed:
            dtype, lacking = "float32", None
        whole = image.model_copy(update={"model": key, "dtype": dtype})
        for number, case in enumerate([whole, *_in_tiles(whole, workload.tiles_to_try(whole)[-1:])]):
            if any(axis.check(case.axes[axis.name]) for axis in workload.axes(key)) or workload.check(case):
                continue
            yield Option(
                case,
                changes,
                risk="; ".join(filter(None, (_another(image), lacking.reason if lacking else ""))),
                last_resort=number > 0,
                is_other_vae=True,
                hazard=lacking.hazard if lacking else None,
            )
            changes += 1


def _another(image: Case) -> str:
    coder = {"encode": "encoder", "decode": "decoder"}.get(image.operation, "VAE")
    return f"another {coder} for the same latents, so another quality"


def _lower_than(dtype: str, precisions: Sequence[str], *, is_replaced: bool) -> tuple[str, ...]:
    """The lower precisions to try: those of float32, whether it was requested or replaces what was; then quantised."""
    narrow = tuple(name for name in _LOWER if name != dtype) if dtype == "float32" or is_replaced else ()
    return (*narrow, *(name for name in precisions if name in QUANTISED and dtype not in QUANTISED))


def _option(case: Case, image: Case, change: int, lacking: Lack | None, *, fixed: bool, is_usual: bool) -> Option:
    risk = models.workload(case.model).risk(case.model, case.dtype)
    is_other = case.dtype != image.dtype
    is_lower = is_other and case.dtype != "float32"
    hazard = lacking.hazard if lacking else None
    if hazard is None and case.dtype == "float16" and risk and is_other:
        hazard = "black_images"  # what float16 risks in a model that was not made for it is overflow
    return Option(
        case,
        change,
        risk="; ".join(filter(None, (risk, lacking.reason if lacking else ""))),
        is_lower=is_lower,
        last_resort=is_lower and not is_usual,
        is_substitute=is_other and not is_lower,
        hazard=None if fixed and hazard == "black_images" else hazard,
    )


def call_of(case: Case) -> tuple[object, ...]:
    """A key of cases with the same time and memory: weights don't matter, nor does a tile that covers the image."""
    known = case.model in models.zoo()
    tile = models.workload(case.model).tile_used(case) if known else case.tile
    return (*alike_but_for(case, "weights", "tiling"), tile)


def _cases(image: Case, tiles: Sequence[Tile]) -> Iterator[Case]:
    """The image untiled and in each of the tiles, each also in the variants that may take less memory.

    Without those that take too many passes, or that the model can't run.
    """
    workload = models.workload(image.model)
    for case in [image, *_in_tiles(image, tiles)]:
        variants = (case.model_copy(update={"variant": name}) for name in workload.variants_to_try(case))
        for each in (case, *(each for each in variants if passes.count_at_most(each) <= passes.MOST_PASSES)):
            if not workload.check(each):
                yield each


def _in_tiles(image: Case, tiles: Sequence[Tile]) -> list[Case]:
    return [image.model_copy(update={"tiling": tile}) for tile in tiles]
