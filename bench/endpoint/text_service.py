"""The service that encodes prompts with one text encoder, independent of HTTP.

`read` and `write` run on codec threads, `compute` only on the device's thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.device.base import Held
from bench.endpoint import text_format
from bench.endpoint.shapes import Limits
from bench.endpoint.text_core import Embeddings, TextCore, TextJob, WeightsKind
from bench.errors import ConfigError
from bench.record import Axes, Case
from bench.wire.messages import PREDICT_PATH, Answer, Largest, Message, RefusedError, Size
from bench.workloads.base import weights_bytes
from bench.workloads.text_encoder import encoder_checkpoint, prompts, zoo
from bench.workloads.text_encoder.encoder_workload import ENCODE_TEXT
from bench.workloads.text_encoder.module import EncoderOnDevice

#: Prompts of the requests to warm up with.
_REHEARSED = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A text encoder that is ready to serve. `dtype` is the precision of its computations and of its answers."""

    dtype: str
    weights_bytes: int
    encode: EncodeTextService
    facts: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, EncodeTextService]:
        """The service by operation."""
        return {ENCODE_TEXT: self.encode}


def load(model: str, weights: str, held: Held, dtype: str | None, limits: Limits) -> LoadedEncoder:
    """Build or load an encoder of the zoo. `weights` is `random`, `hub` or a folder; `dtype` None: the zoo's dtype.

    Raises ConfigError for an unknown model, and for a folder without its checkpoint or without a tokenizer; OSError or
    ValueError if a checkpoint can't be loaded; torch's errors for out-of-memory.
    """
    spec = zoo.get(model)
    if weights not in {"random", "hub"} and (reason := encoder_checkpoint.refusal(spec, weights)):
        raise ConfigError(f"{reason}. Give another folder or model.")
    axes = Axes({"tokens": spec.tokens, "batch": 1})
    case = Case(model=model, operation=ENCODE_TEXT, axes=axes, dtype=dtype or spec.dtype, weights=weights)
    tokenizer = prompts.tokenizer(spec, weights)
    encoder = EncoderOnDevice(case, held.torch_device)
    kind: WeightsKind = "random" if weights == "random" else "hub" if weights == "hub" else "local"
    facts = {"tokens": spec.tokens, "most_tokens": spec.most_tokens, "width": spec.width}
    service = EncodeTextService(TextCore(encoder, tokenizer, kind, case.dtype, held), limits)
    return LoadedEncoder(case.dtype, weights_bytes(encoder), service, facts)


class EncodeTextService:
    """Encodes prompts to embeddings."""

    input_words = "prompts (JSON with a text or a list of texts as prompt)"

    def __init__(self, core: TextCore, limits: Limits) -> None:
        self._core, self._limits = core, limits
        self.max_body_bytes = text_format.max_body_bytes(limits)

    def takes(self, message: Message) -> bool:
        """Whether the message contains prompts. Raises RefusedError if it can't be parsed."""
        text_format.text_request(message, self._limits)
        return True

    def rehearsals(self) -> Iterator[Sequence[Message]]:
        """Yield requests with more and more prompts, in both forms."""
        for count in _REHEARSED:
            body = json.dumps({"prompt": ["a prompt"] * count}).encode()
            yield [Message((), body, path=path) for path in ("", PREDICT_PATH, "")]

    def read(self, message: Message) -> TextJob:
        """Parse and check a request, and tokenize its prompts, cut as the pipeline cuts them. Raises RefusedError."""
        request = text_format.text_request(message, self._limits)
        spec = self._core.spec
        tokens = request.tokens or spec.tokens
        if refusal := spec.tokens_refusal(tokens):
            raise RefusedError(400, f"{refusal}. Send fewer, or leave out tokens for the usual {spec.tokens}.")
        self._limits.check_tokens(len(request.prompts), tokens)
        return self._core.job(request.prompts, tokens, saved=request.saved)

    def size(self, job: TextJob) -> Size:
        """Return the floating-point operations, and the bytes of the embeddings and of the answers made of them."""
        core = self._core
        answer_bytes = job.batch * job.ids.tokens * core.spec.width * core.item_bytes
        return Size(core.flops(job.batch, job.ids.tokens), (3 if job.saved else 2) * answer_bytes)

    def largest(self, job: TextJob, fits: Callable[[int], bool]) -> Largest:
        """Return the most prompts like these that are quick enough."""
        tokens = job.ids.tokens
        counts = range(job.batch - 1, 0, -1)
        most = next((count for count in counts if fits(self._core.flops(count, tokens))), 0)
        text = f"{most} prompts of {tokens} tokens fit." if most > 1 else "One prompt fits."
        none = f"No prompt of {tokens} tokens fits. Ask for fewer, or raise --time-limit."
        return Largest(text if most else none, {"largest_batch": most})

    def compute(self, job: TextJob) -> Embeddings:
        """Run the encoder. Raises RefusedError (507) if out of memory."""
        return self._core.encode(job)

    def write(self, result: Embeddings) -> Answer:
        """Return the tensor in the form that the request asked for."""
        return self._core.answer(result)
