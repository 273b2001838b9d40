"""What a workload is: a kind of model that can be measured, described in one place. Free of torch.

A workload says which models it has and which axes a case of them has, answers what is known of a case before it is run
(`passes`, `payload`), and loads a model on a device, ready to be called. All else (plan, run, store, compare, report,
endpoint, prediction) asks it. `docs/adding-a-workload.md` adds one, step by step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bench.core.work import Work
from bench.errors import ConfigError, quoted
from bench.record import Case, Tile, Transport

if TYPE_CHECKING:
    import torch

#: The shape of a tensor.
Shape = tuple[int, ...]


def whole_number(value: object) -> int:
    """A count of at least 1, from YAML or from text. Raises ValueError that says what is wrong."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not text.removeprefix("-").isdigit() or len(text) > 18:
        raise ValueError(f"{quoted(value)} is not a whole number")
    if int(text) < 1:
        raise ValueError(f"{quoted(value)} is less than 1")
    return int(text)


def _anything(_value: int) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension along which cases of a model differ, such as width, frames, batch, tokens.

    Attributes:
        name: its key in sweeps and in records.
        unit: of its values, `px` for example; empty where they are a mere count of what the name says.
        default: what a sweep takes that does not name it; None: a sweep has to.
        parse: from YAML or from text; raises ValueError that says what is wrong.
        print: a value for people, within a case's name; None: name, value and unit, `length 16 tokens`.
        check: why the model can't take a value, with the nearest that it can; empty if it can.
    """

    name: str
    unit: str = ""
    default: int | None = None
    parse: Callable[[object], int] = whole_number
    print: Callable[[int], str] | None = None
    check: Callable[[int], str] = _anything

    def said(self, value: int) -> str:
        """A value for people."""
        return self.print(value) if self.print else " ".join(filter(None, (self.name, str(value), self.unit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is known of a model, whatever workload it is of; a kind's own spec adds to it.

    Attributes:
        key: name in sweeps and on the command line.
        title: heading of its table in the docs.
        also_titled: other headings under which pages print it.
        aliases: other names on the command line, of models that are this one as far as the workload goes.
        hub_id: repository that `weights: hub` loads; None where there is none.
        dtype: the precision that it is used in.
        fault: what the call does instead of running (tests of the harness only), or None.
        order: place in listings.
    """

    key: str
    title: str
    also_titled: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    hub_id: str | None = None
    dtype: str = "float32"
    fault: str | None = None
    order: int = 100


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request of a case carries to an endpoint and back.

    Attributes:
        tensor: shape of what is no picture: a latent.
        images: shape of the pictures, (how many, 3, height, width).
        sends_images: whether the pictures are what is sent; else they come back.
        scaling: what a client asks for by name, `scaling_factor` for example.
    """

    tensor: Shape
    images: Shape
    sends_images: bool
    scaling: Mapping[str, float]

    @property
    def pixels(self) -> int:
        """Of all pictures."""
        count, _, height, width = self.images
        return count * height * width

    @property
    def sent(self) -> Shape:
        """The shape of what is sent as a tensor."""
        return self.images if self.sends_images else self.tensor


#: The axes of a picture, which `resolutions` sets in pairs.
SIDES = ("width", "height")


@contextmanager
def _nothing_to_watch() -> Iterator[list[Shape]]:
    yield []


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a call that is timed and whose peak is taken on its own. A call of one part has one.

    Attributes:
        name: `encode`, `text`, `denoise`.
        run: runs it once (asynchronously on CUDA); what it returns is let go of.
        watching_passes: a context that yields a list, into which goes the input's shape of each pass that is made.
    """

    name: str
    run: Callable[[], object]
    watching_passes: Callable[[], AbstractContextManager[list[Shape]]] = _nothing_to_watch


@dataclass(frozen=True, slots=True)
class Call:
    """One prepared call: its stages, run one after another.

    `set_up` comes before each call, since another case's may have used the same model meanwhile; it is no part of the
    call's time.
    """

    stages: tuple[Stage, ...]
    set_up: Callable[[], None] = lambda: None

    def run(self) -> object:
        """Set it up, run it once, and return what its last stage does."""
        self.set_up()
        result: object = None
        for stage in self.stages:
            result = stage.run()
        return result


class MetaCall(Protocol):
    """A call on meta tensors, for `vram.trace` to capture."""

    @property
    def blends(self) -> tuple[str, ...]:
        """Methods of the module that blend a tile into another line by line; of their lines one is captured."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """All of it, its parts named."""
        ...

    @property
    def values(self) -> torch.Tensor:
        """The input, which is there before the call."""
        ...

    @property
    def repeated(self) -> torch.nn.Module:
        """The part that is run once a pass, and does the same for each input of one shape."""
        ...

    def run(self) -> torch.Tensor:
        """Run it once."""
        ...

    def flops(self, passes: Sequence[Shape]) -> int | None:
        """Floating-point operations of these passes; None where they are not counted exactly."""
        ...


class Loaded(Protocol):
    """A model on a device, ready to be called for any case of its model, weights, dtype and variant."""

    @property
    def module(self) -> torch.nn.Module:
        """All of it, for those who watch its parts at work."""
        ...

    def prepare(self, case: Case) -> Call:
        """Make the input of the case, and the call. May raise out-of-memory."""
        ...


def weights_bytes(loaded: Loaded) -> int:
    """Bytes of the parameters and buffers."""
    tensors = (*loaded.module.parameters(), *loaded.module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Workload(Protocol):
    """A kind of model. Only what has no body here has to be said; the rest is for those who can say it.

    Attributes:
        name: of the kind, for people: `image VAE`.
        part: which part of a pipeline it is, for people: `VAE`.
        page: what its pages are called, with the operation: `VAE` has the page `vae_encode.md`.
        operations: what can be done with a model, `encode` for example.
        variants: ways of running it besides `default`.
        is_predicted: whether `work` and `on_meta` are known, from which memory and time are predicted.
        in_docs: whether the diffusers docs have tables of it.
    """

    name: str
    part: str
    page: str
    operations: tuple[str, ...]
    variants: tuple[str, ...] = ()
    is_predicted: bool = False
    in_docs: bool = False

    # What there is

    @abstractmethod
    def specs(self) -> Iterable[Spec]:
        """Every model of this kind."""

    @abstractmethod
    def axes(self, key: str) -> tuple[Axis, ...]:
        """The axes of a model's cases, in the order in which records have them; sweeps vary the first ones fastest."""

    def default_tile(self, key: str) -> Tile | None:
        """The tile that `tiling: on` means; None where the model can't be run in tiles."""
        return None

    def risk(self, key: str, dtype: str) -> str:
        """What computing in a precision risks of the result; empty where nothing is known, and for the model's own."""
        return ""

    def transports(self, operation: str) -> tuple[Transport, ...]:
        """The ways in which an operation's payload can travel to an endpoint, the usual one first; empty: by none."""
        return ()

    # What is known of a case before it is run

    def check(self, case: Case) -> str:
        """Why the model can't take a case as a whole, each axis' value being fine; empty if it can."""
        return ""

    def tile_used(self, case: Case) -> Tile | None:
        """The tile of the case; None where it is not tiled, and where one tile covers all."""
        return case.tile

    def tiles_to_try(self, case: Case) -> tuple[Tile, ...]:
        """Tiles that may make an untiled case fit, the largest first."""
        return ()

    def passes(self, case: Case) -> tuple[Shape, ...]:
        """Shape of the input of each pass of one call, in order: one, or one a tile. Empty where it is not known."""
        return ()

    def served(self, case: Case) -> Case:
        """The case as an endpoint computes it: in tiles, if it takes tiles for one of that size."""
        return case

    def payload(self, case: Case) -> Payload | None:
        """What a request of the case carries; None where no endpoint serves it."""
        return None

    # What needs torch

    @abstractmethod
    def load(self, case: Case, device: torch.device) -> Loaded:
        """Build or load the case's model. May raise out-of-memory, or OSError if a checkpoint can't be had."""

    def exercise(self, device: torch.device) -> None:
        """Call every kind of kernel once, so that what is made at the first call is no part of a case."""
        del device  # of what a kind does not say nothing is made beforehand

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        """Floating-point operations of a stage that made these passes; None where they are not counted."""
        return None

    def work(self, case: Case) -> Work:
        """What one call computes and moves. Raises ConfigError where that is not known."""
        raise ConfigError(f"{case.model}: what a call of a {self.name} computes is not known, so none is predicted.")

    def on_meta(self, case: Case) -> MetaCall:
        """The call on meta tensors, as `vram.trace` captures it. Raises ConfigError where there is none."""
        raise ConfigError(f"{case.model}: the memory of a {self.name} can't be predicted.")
