"""The interface of a workload, which describes one kind of model in one place.

A workload lists its models and the axes of their cases, answers questions about a case before it runs (`passes`,
`payload`), and loads a model on a device. Everything else (plan, run, store, compare, report, endpoint, prediction)
asks the workload. `docs/adding-a-workload.md` shows how to add a kind.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from bench.core.units import ITEM_BYTES
from bench.errors import ConfigError, quoted
from bench.record import Case, Tile, Transport, fits_in_one_request
from bench.workloads.model_facts import Facts
from bench.workloads.passes import Counts
from bench.workloads.payloads import Payload

if TYPE_CHECKING:
    import torch

    from bench.workloads.checkpoints import Checkpoint, Identified

#: The shape of a tensor.
Shape = tuple[int, ...]


def whole_number(value: object) -> int:
    """A count of at least 1, from YAML or from text. Raises ValueError with the reason."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not text.removeprefix("-").isdigit() or len(text) > 18:
        raise ValueError(f"{quoted(value)} is not a whole number")
    if int(text) < 1:
        raise ValueError(f"{quoted(value)} is less than 1")
    return int(text)


def _accept(_value: int) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension along which cases of a model differ, such as width, frames, batch or tokens.

    Attributes:
        name: key in sweeps and in records.
        unit: unit of the values, such as `px`; empty if they count what the name says.
        default: value if a sweep does not name the axis; labels leave it out. None: labels always show the value.
        usual: value if a sweep does not name an axis without a default; None: a sweep must name it.
        parse: reads a value from YAML or text; raises ValueError with the reason.
        print: formats a value for a case's label; None: name, value and unit, `length 16 tokens`.
        check: why the model can't take a value, with the nearest valid one; empty if it can.
    """

    name: str
    unit: str = ""
    default: int | None = None
    usual: int | None = None
    parse: Callable[[object], int] = whole_number
    print: Callable[[int], str] | None = None
    check: Callable[[int], str] = _accept

    @property
    def assumed(self) -> int | None:
        """The value if none is named; None if one has to be."""
        return self.usual if self.default is None else self.default

    def format(self, value: int) -> str:
        """A value as labels show it."""
        return self.print(value) if self.print else " ".join(filter(None, (self.name, str(value), self.unit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Facts about a model that every workload has; each kind extends it.

    Attributes:
        key: name in sweeps and on the command line.
        title: heading of its table in the docs.
        also_titled: other headings that pages use for it.
        aliases: other names on the command line, including those of models with the same architecture.
        hub_id: repository that `weights: hub` loads; None if there is none.
        dtype: default precision.
        is_featured: whether commands that predict or calibrate take it if no model is named.
        fault: failure that a call produces on purpose (tests of the harness only), or None.
    """

    key: str
    title: str
    also_titled: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    hub_id: str | None = None
    dtype: str = "float32"
    is_featured: bool = False
    fault: str | None = None


#: The axes of an image, which `resolutions` sets in pairs.
SIDES = ("width", "height")


@contextmanager
def _no_passes() -> Iterator[list[Shape]]:
    yield []


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a call with its own time and peak. Most calls have a single stage.

    Attributes:
        name: `encode`, `text`, `denoise`.
        run: runs the stage once (asynchronously on CUDA); its result is discarded.
        watching_passes: context that yields a list and appends the input shape of each pass to it.
    """

    name: str
    run: Callable[[], object]
    watching_passes: Callable[[], AbstractContextManager[list[Shape]]] = _no_passes


@dataclass(frozen=True, slots=True)
class Call:
    """A prepared call: stages that run one after another.

    `set_up` runs before each call, because another case may have used the same model in between. It is not timed.
    """

    stages: tuple[Stage, ...]
    set_up: Callable[[], None] = lambda: None

    def run(self) -> object:
        """Set up, run all stages once, and return the result of the last."""
        self.set_up()
        result: object = None
        for stage in self.stages:
            result = stage.run()
        return result


@dataclass(frozen=True, slots=True)
class StagePart:
    """A part of a call whose stages are predicted one by one, and what is on the device meanwhile.

    Attributes:
        stage: name of its stage, which may have several parts: a pipeline has one for each text encoder.
        case: the case whose trace it has. Of a loop it is one step.
        resident: cases of the models whose weights are on the device, this one's among them, each in the precision in
            which it lies there.
        held: cases whose inputs are alive too.
        repeats: how often a call makes it: the steps, or the prompts.
        is_step: whether it is one of several steps.
        by_leaf: the weights come to the device module by module, so that only the largest tensor of these counts.
    """

    stage: str
    case: Case
    resident: tuple[Case, ...]
    held: tuple[Case, ...] = ()
    repeats: int = 1
    by_leaf: bool = False
    is_step: bool = False


class MetaCall(Protocol):
    """A call on meta tensors in the precision of its case, which `traces.trace` captures."""

    @property
    def blends(self) -> Mapping[str, int]:
        """The module's methods that blend tiles line by line, and the dimension along which each goes.

        The trace captures one line of each.
        """

    @property
    def module(self) -> torch.nn.Module:
        """The whole module."""

    @property
    def inputs(self) -> Sequence[torch.Tensor]:
        """The tensors that exist before the call and outlive it, besides the weights."""

    @property
    def repeated(self) -> torch.nn.Module:
        """The submodule that runs once per pass and does the same for every input of one shape."""

    def run(self) -> torch.Tensor:
        """Run the call once."""

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of these passes; None if they can't be counted exactly."""


class Loaded(Protocol):
    """A model on a device, ready to be called for any case of its model, weights, dtype and variant."""

    @property
    def module(self) -> torch.nn.Module:
        """The whole module, for hooks on its parts."""

    def prepare(self, case: Case) -> Call:
        """Create the case's input and its call. May raise out-of-memory."""


class CompileError(Exception):
    """A variant's kernels could not be compiled; the message is the reason."""


@runtime_checkable
class Compiles(Protocol):
    """A loaded model, some of whose variants compile kernels for each case."""

    def compile(self, case: Case) -> bool:
        """Compile the kernels of a case, by calling it once, and return whether its variant has such kernels.

        Not part of the case's time or peak. Raises CompileError, or what the call raises.
        """


def weights_bytes(loaded: Loaded) -> int:
    """Bytes of the parameters and buffers."""
    tensors = (*loaded.module.parameters(), *loaded.module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Workload(Protocol):
    """A kind of model. Subclasses must implement the abstract methods; all others have a default.

    Attributes:
        name: the kind in prose: `image VAE`.
        part: its part of a pipeline in prose: `VAE`.
        page: prefix of its pages' names: `VAE` and `encode` give `vae_encode.md`.
        operations: operations of a model, such as `encode`.
        variants: ways of running it besides `default`.
        precisions: those that a model can have.
        has_fitted_times: whether the model of times was fitted on models of this part. For others it gives only a least
            time, because what it leaves out may take longer.
        in_docs: whether the diffusers docs have tables of it, so that it has pages even without results.
        counted: what a batch has several of, and costs are counted by.
        records_loading: whether records hold the peak while the model is loaded.
    """

    name: str
    part: str
    page: str
    operations: tuple[str, ...]
    variants: tuple[str, ...] = ()
    precisions: tuple[str, ...] = tuple(ITEM_BYTES)
    has_fitted_times: bool = False
    in_docs: bool = False
    counted: Literal["image", "prompt"] = "image"
    records_loading: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Values of `_class_name` in checkpoints that `identify` reads."""
        return ()

    @property
    def is_predicted(self) -> bool:
        """Whether memory and time can be predicted: the kind implements `on_meta`."""
        return type(self).on_meta is not Workload.on_meta

    @property
    def is_composed(self) -> bool:
        """Whether a model consists of several models, as a pipeline does: the kind implements `components`."""
        return type(self).components is not Workload.components

    # Models

    @abstractmethod
    def specs(self) -> Iterable[Spec]:
        """Every model of this kind."""

    @abstractmethod
    def axes(self, key: str) -> tuple[Axis, ...]:
        """The axes of a model's cases, in the order of records; sweeps vary the first ones fastest."""

    def default_tile(self, key: str) -> Tile | None:
        """The tile for `tiling: on`; None if the model can't run in tiles."""
        return None

    def facts(self, key: str) -> Facts:
        """What is known of a model besides its spec."""
        return Facts()

    def risk(self, key: str, dtype: str) -> str:
        """The risk of computing in a precision; empty if none is known, and for the model's default."""
        return ""

    def transports(self, operation: str) -> tuple[Transport, ...]:
        """The transports of an operation's payload, the usual one first; empty if no endpoint serves it."""
        return ()

    def architecture(self, key: str) -> Mapping[str, object]:
        """What decides what a model computes for a case, as JSON has it. Models with the same share their traces."""
        return {"spec": repr(next(spec for spec in self.specs() if spec.key == key))}

    def identify(self, checkpoint: Checkpoint, name: str) -> Identified:
        """The model that a checkpoint of one of `classes` describes.

        A model that the zoo lacks is added under this name, for this process. Raises ConfigError if the checkpoint's
        configuration can't be used.
        """
        raise ConfigError(f"{checkpoint.source}: checkpoints of the kind {self.name!r} can't be read.")

    def weights_refusal(self, key: str, weights: str) -> str:
        """Why a folder, or `hub:ID`, can't have the weights of a model; empty if it can, or if that is not known.

        Raises ConfigError if the folder's configuration can't be read.
        """
        return ""

    # A case before it runs

    def check(self, case: Case) -> str:
        """Why the model can't run a case although each axis has a valid value; empty if it can."""
        return ""

    def device_refusal(self, case: Case, kind: str) -> str:
        """Why a kind of device (`cuda`, `cpu`) can't run a case that the model can; empty if it can."""
        return ""

    def chunk_note(self, case: Case) -> str:
        """The chunks into which the model by itself cuts a case's frames, for a label; empty if into none."""
        return ""

    def tile_used(self, case: Case) -> Tile | None:
        """The case's tile; None if it is not tiled or one tile covers everything."""
        return case.tile

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        """Tiles that may make an untiled case fit into memory, the largest first."""
        return ()

    def variants_to_try(self, case: Case) -> tuple[str, ...]:
        """Variants that may make a case fit into memory, besides `default`: slices of a batch, chunks of a video."""
        return ("sliced",) if case.axes.get("batch", 1) > 1 and "sliced" in self.variants else ()

    def passes(self, case: Case) -> tuple[Shape, ...]:
        """Input shape of each pass of a call, in order: one pass, or one per tile. Empty if not known."""
        return ()

    def count(self, case: Case, stage: str, passes: Sequence[Shape]) -> Counts:
        """The tiles, chunks of frames and steps of a stage that made these passes."""
        return Counts((len(passes) or None) if case.tile else None)

    def served(self, case: Case) -> Case:
        """The case as an endpoint computes it: tiled if endpoints tile images of this size."""
        return case

    def carries(self, case: Case, transport: Transport) -> bool:
        """Whether one request over this transport of the operation can carry the whole case."""
        return fits_in_one_request(transport, case.axes)

    def payload(self, case: Case) -> Payload | None:
        """What a request for the case carries to an endpoint and back; None if no endpoint serves it."""
        return None

    def code(self, case: Case, device: str) -> str:
        """Python to paste that sets the case in the library that users have, on `cpu` or `cuda`; empty if not known."""
        return ""

    # Computation (needs torch)

    @abstractmethod
    def load(self, case: Case, device: torch.device) -> Loaded:
        """Build or load the case's model. May raise out-of-memory, or OSError if a checkpoint can't be loaded."""

    def exercise(self, device: torch.device) -> None:
        """Run every kind of kernel once, so that one-time allocations do not count towards the first case."""
        del device  # by default there is nothing to run

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        """Floating-point operations of a stage that made these passes; None if they are not counted."""
        return None

    def needs(self, case: Case) -> tuple[str, ...]:
        """The packages that a case needs besides those of every model, by the name of their modules."""
        return ()

    def stored_bytes(self, case: Case, elements: int) -> int:
        """Bytes that a weight of so many elements takes in the case's precision."""
        return elements * ITEM_BYTES[case.dtype]

    def parts(self, case: Case) -> tuple[StagePart, ...]:
        """The parts of a call whose stages are predicted one by one, in order; empty if it has one stage, which is the
        case's own trace."""
        return ()

    def components(self, case: Case) -> Mapping[str, Case]:
        """A case of each model that is loaded for calls of several stages, by the component's name, in the precision in
        which it is loaded; empty for a single model."""
        return {}

    def on_meta(self, case: Case) -> MetaCall:
        """The call on meta tensors, for `traces.trace`. Raises ConfigError if the kind has no predictions."""
        raise ConfigError(f"{case.model}: calls of the kind {self.name!r} can't be predicted. Measure them instead.")
