"""The run of `bench quality`: what is compared with what, and one comparison after another in the measuring process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from bench import store
from bench.config import DTYPES, Resolution, parse_model, parse_tiling, parse_weights, parsed
from bench.errors import ConfigError, DeviceError, WorkerError, known
from bench.record import Case, PictureComparison, PictureComparisons, Tile, timestamp
from bench.run import input_picture
from bench.run.executor import SubprocessExecutor
from bench.run.messages import ComparePictures, PicturesCompared, Ready
from bench.workloads import models

#: Seconds for one comparison, its models' loading and download included.
_COMPARE_S = 3600.0
#: The precision of references.
REFERENCE_DTYPE = "float32"
_OPERATIONS = {"encode", "decode"}


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change, each thing by itself. Nothing at all: everything that the model usually runs with.

    Attributes:
        tilings: `on`, or tiles as `512/128`.
        dtypes: precisions; `model` is the model's own.
        against: other models of the same latents, as `taesd` or `taesd=FOLDER` with their weights.
    """

    tilings: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    against: Sequence[str] = ()


def references_of(
    model: str, operations: Sequence[str], resolutions: Sequence[Resolution], weights: str
) -> Iterator[Case]:
    """The untiled case in float32 of each operation and size. Raises ConfigError."""
    key = parsed("--model", model, parse_model)
    workload = models.workload(key)
    facts = workload.facts(key)
    if not set(workload.operations) >= _OPERATIONS or facts.latents is None or facts.latents.frames:
        raise ConfigError(f"--model {key}: pictures can be compared of image VAEs only, and this is a {workload.name}.")
    source = parsed("--weights", weights, parse_weights)
    _check_hub(key, source)
    for operation in operations or ("decode",):
        for size in resolutions:
            case = Case(
                model=key,
                operation=operation,
                axes=models.sized(key, size.width, size.height),
                dtype=REFERENCE_DTYPE,
                weights=source,
            )
            _check(case, f"--resolution {size}")
            yield case


def changed_of(reference: Case, changes: Changes) -> list[Case]:
    """The cases to compare with the reference, each of which differs from it in one thing.

    Raises ConfigError, also if there is nothing to compare.
    """
    if not (changes.tilings or changes.dtypes or changes.against):
        changes = _usual(reference)
    cases = [
        *(_tiled(reference, text) for text in changes.tilings),
        *(_with_dtype(reference, text) for text in changes.dtypes),
        *(_by_other(reference, text) for text in changes.against),
    ]
    cases = [case for case in dict.fromkeys(cases) if case != reference]
    if not cases:
        raise ConfigError(
            f"{reference.model} at this size is untiled and in {REFERENCE_DTYPE} anyway, as the reference is. Say what "
            "to compare with --tiling, --dtype or --against."
        )
    return cases


def _usual(reference: Case) -> Changes:
    """The model's own tile, if the image is larger, its own precision, and the smaller VAEs of its latents."""
    workload, spec = models.workload(reference.model), models.get(reference.model)
    tile = workload.default_tile(reference.model)
    is_tiled = tile is not None and workload.tile_used(reference.model_copy(update={"tiling": tile})) is not None
    others = models.smaller_alike(reference.model) if reference.weights in {"random", "hub"} else ()
    return Changes(("on",) if is_tiled else (), (spec.dtype,), others)


def _tiled(reference: Case, text: str) -> Case:
    tiling: Literal["on", "off"] | Tile | None = parsed("--tiling", text, parse_tiling)
    if tiling == "on":
        tiling = models.workload(reference.model).default_tile(reference.model)
    if tiling is None:
        raise ConfigError(f"--tiling {text}: {reference.model} can't be run in tiles.")
    case = reference.model_copy(update={"tiling": tiling})
    _check(case, f"--tiling {text}")
    if models.workload(case.model).tile_used(case) is None:
        raise ConfigError(f"--tiling {text}: the image is not larger than a tile, so nothing changes.")
    return case


def _with_dtype(reference: Case, text: str) -> Case:
    dtype = known("dtype", text, DTYPES, "--dtype")
    return reference.model_copy(update={"dtype": models.get(reference.model).dtype if dtype == "model" else dtype})


def _by_other(reference: Case, text: str) -> Case:
    name, _, folder = text.partition("=")
    key = parsed("--against", name, parse_model)
    if models.workload(key).facts(key).latents != models.workload(reference.model).facts(reference.model).latents:
        alike = models.smaller_alike(reference.model)
        which = f"Those of {reference.model} are: {', '.join(alike)}" if alike else "No other model here does"
        raise ConfigError(f"--against {key}: it does not take the latents of {reference.model}. {which}.")
    source = parsed("--against", folder, parse_weights) if folder else reference.weights
    if not folder and source not in {"random", "hub"}:
        raise ConfigError(f"--against {key}: say where its weights are, as in `--against {key}=FOLDER`.")
    _check_hub(key, source)
    case = reference.model_copy(update={"model": key, "weights": source})
    _check(case, f"--against {key}")
    return case


def _check(case: Case, option: str) -> None:
    """Raise ConfigError if the model can't run the case."""
    refusals: Iterable[str] = (axis.check(case.axes[name]) for name, axis in models.axes(case.model).items())
    if refusal := next(filter(None, refusals), "") or models.workload(case.model).check(case):
        raise ConfigError(f"{option}: {refusal}.")


def _check_hub(key: str, weights: str) -> None:
    if weights == "hub" and models.get(key).hub_id is None:
        raise ConfigError(f"--weights hub: the hub has no weights of {key}. Use --weights random.")


class Listener(Protocol):
    """Receives the progress of a run."""

    def comparing(self, comparison: PictureComparison) -> AbstractContextManager[object]:
        """A context that lasts while a picture is computed and compared."""


@dataclass(slots=True)
class QualityRun:
    """Comparisons on one device, written to its folder after each.

    Attributes:
        ready: the device that the executor took.
        path: the file; None until something is written.
        comparisons: so far.
    """

    executor: SubprocessExecutor
    ready: Ready
    folder: Path
    listener: Listener
    path: Path | None = None
    comparisons: list[PictureComparison] = field(default_factory=list)
    _name: str = field(default_factory=lambda: f"quality-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.json")

    def compare(self, reference: Case, changed: Case, image: Path | None) -> None:
        """Compare one picture, and keep what came of it. Raises ConfigError if the image can't be read."""
        pixels = input_picture.of(image, reference.axes["width"], reference.axes["height"])
        comparison = PictureComparison(
            changed=changed,
            reference=reference,
            image=input_picture.SYNTHETIC if image is None else image.name,
            image_digest=input_picture.digest_of(pixels),
        )
        with self.listener.comparing(comparison):
            self.comparisons.append(self._answer(comparison, image))
        content = PictureComparisons(
            device=self.ready.device,
            comparisons=tuple(self.comparisons),
            environment=self.ready.environment,
            recorded_at=timestamp(datetime.now(UTC)),
        )
        self.path = store.write_pictures(self.folder, content, self._name)

    def _answer(self, comparison: PictureComparison, image: Path | None) -> PictureComparison:
        path = None if image is None else str(image.absolute())
        request = ComparePictures(comparison=comparison, image=path, folder=str(self.folder.absolute()))
        try:
            answer = self.executor.ask(request, _COMPARE_S)
        except (DeviceError, WorkerError) as error:
            return comparison.model_copy(update={"reason": str(error)})
        assert isinstance(answer, PicturesCompared)  # noqa: S101 - the worker answers what it was asked
        if answer.comparison.outcome not in {"compared", "not_finite"}:
            self.executor.close()
        return answer.comparison
