"""`gpus.yaml`: cards of which a plan is made although none is here: memory, rates, and what a CUDA context takes."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from bench.config.prices import Sourced
from bench.config.values import Count, Figure, Said, Strict
from bench.config.yaml_file import configs, load_as
from bench.errors import BenchError, ConfigError, nearest
from bench.units import GIB, MIB, parse_bytes

#: How to say what a card that is not in the file has.
_OR_ITS_MEMORY = "Or give its memory: --vram-limit 8GiB."
_MAKERS_WORDS = {"nvidia", "geforce", "rtx", "gtx", "tesla"}
#: What makes of one card's name another's, when it follows: `3080 Ti` of 3080, `L40S` of L40.
_ANOTHER_CARD = r"(?:[a-z]\b|\w*\s+(?:ti|super|d|laptop|max-q)\b)"


def _bytes(value: Any) -> Any:
    """`23.643 GiB`, or a number of bytes."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value)
    except BenchError as error:
        raise ValueError(str(error)) from None


_Total = Annotated[Count, Field(ge=GIB, le=1024 * GIB), BeforeValidator(_bytes)]
_Tflops = Annotated[Figure, Field(gt=0, le=1e5)]
#: torch has no context of less than a few MiB, and nobody reported one of many GiB.
_ContextMib = Annotated[Figure, Field(ge=1, le=16_384)]
_Capability = Annotated[str, StringConstraints(pattern=r"^\d{1,2}\.\d$")]
#: What cards compute in, by torch's names.
Precision = Literal["float16", "bfloat16", "float32"]


class TensorTflops(Strict):
    """Dense rates of the tensor cores with sums in FP32, in TFLOP/s; None where an architecture has no such."""

    float16: _Tflops | None = None
    bfloat16: _Tflops | None = None
    tf32: _Tflops | None = None


class OwnContext(Sourced):
    """What a CUDA context of torch took on one kind of card."""

    mib: _ContextMib

    @property
    def byte_count(self) -> int:
        """The same in bytes."""
        return round(self.mib * MIB)


class Context(Sourced):
    """What a CUDA context of torch takes, from the least to the most that people report."""

    mib_low: _ContextMib
    mib_high: _ContextMib

    @model_validator(mode="after")
    def _in_order(self) -> Context:
        if self.mib_low > self.mib_high:
            raise ValueError(f"mib_low {self.mib_low:g} is more than mib_high {self.mib_high:g}")
        return self

    @property
    def byte_range(self) -> tuple[int, int]:
        """The least and the most, in bytes."""
        return round(self.mib_low * MIB), round(self.mib_high * MIB)


class Gpu(Sourced):
    """One kind of card. `source` and `date` are those of rates, bandwidth, cache and multiprocessors.

    Attributes:
        total_bytes: what torch reports as total_memory on Linux, which is less than the card has.
        vector_tflops: the FP32 rate without tensor cores, in TFLOP/s.
        context: its own CUDA context, where somebody reported it.
    """

    architecture: Literal["volta", "turing", "ampere", "ada", "hopper", "blackwell"]
    compute_capability: _Capability
    total_bytes: _Total
    total_source: Said
    tensor_tflops: TensorTflops
    vector_tflops: _Tflops
    bandwidth_gb_s: Annotated[Figure, Field(gt=0, le=1e5)]
    l2_mib: Annotated[Figure, Field(gt=0, le=1e4)]
    sm_count: Annotated[Count, Field(le=10_000)]
    context: OwnContext | None = None

    @property
    def bandwidth_byte_s(self) -> float:
        """Bytes a second between the card's memory and its chip, at best."""
        return self.bandwidth_gb_s * 1e9

    def tensor_flop_s(self, dtype: Precision) -> float:
        """FLOP/s of a convolution or product of that precision, at best.

        float32 is TF32 where the card has it, as torch lets convolutions use it unless told otherwise. A precision for
        which the card has no tensor cores counts at the vector rate.
        """
        rates = self.tensor_tflops
        own = {"float16": rates.float16, "bfloat16": rates.bfloat16, "float32": rates.tf32}[dtype]
        return (own or self.vector_tflops) * 1e12


class Gpus(Strict):
    """The file."""

    context: Context
    cards: dict[str, Gpu] = Field(min_length=1)

    def architecture_of(self, compute_capability: str) -> str:
        """That of the cards of this compute capability (`8.6`), empty where none of them has it."""
        return next(
            (gpu.architecture for gpu in self.cards.values() if gpu.compute_capability == compute_capability), ""
        )

    def named(self, name: str, otherwise: str = _OR_ITS_MEMORY) -> tuple[str, Gpu]:
        """The one card of that name, or of which the name is a part (`3070`, `RTX 3080`), with its whole name.

        Words of a name go before other parts of it. A `Ti`, `SUPER` or `S` that isn't asked for is another card: an
        RTX 3080 is no RTX 3080 Ti, an L40 no L40S. Raises ConfigError where no card or several are left; where there is
        none, its message ends in what to do `otherwise`.
        """
        asked = " ".join(name.casefold().split())
        part = rf"{re.escape(asked)}(?!{_ANOTHER_CARD})"
        for pattern in (rf"^{re.escape(asked)}$", rf"(?<!\w){part}(?!\w)", part) if asked else ():
            found = [whole for whole in self.cards if re.search(pattern, whole.casefold())]
            if len(found) == 1:
                return found[0], self.cards[found[0]]
            if found:
                raise ConfigError(f"--gpu {name}: several cards have that name: {', '.join(found)}. Write one of them.")
        raise ConfigError(
            f"--gpu {name}: configs/gpus.yaml has no such card. {nearest(self._near(asked), self.cards)} {otherwise}"
        )

    def _near(self, asked: str) -> str:
        """The card whose model is like the one asked for, or what was asked: all names begin alike."""
        models = {_model(whole.casefold()): whole for whole in self.cards}
        model = _model(asked)
        close = [one for one in models if model and model in one] or difflib.get_close_matches(model, models, n=1)
        return models[close[0]] if close else asked


def _model(name: str) -> str:
    """`3080 ti` of `nvidia geforce rtx 3080 ti`."""
    return " ".join(word for word in name.split() if word not in _MAKERS_WORDS)


def load_gpus(path: Path | None = None) -> Gpus:
    """Read a file of cards; the shipped one, unless a path is given. Raises ConfigError."""
    return load_as(Gpus, path or configs()["gpus"], "a file of cards")
