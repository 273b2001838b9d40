"""Text encoders as a workload: prompts in, hidden states out, by tokens and batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.core.units import format_count
from bench.record import Case, Transport
from bench.workloads.base import Axis, Loaded, Shape, Spec, Workload
from bench.workloads.model_facts import Facts
from bench.workloads.payloads import TextPayload
from bench.workloads.text_encoder import zoo
from bench.workloads.text_encoder.sample_prompts import sample_prompts

if TYPE_CHECKING:
    import torch

#: Variants that keep the weights in the host's memory, from where each call moves them as a whole, or module by module.
OFFLOADED = ("cpu-offload", "sequential-offload")
SEQUENTIAL = OFFLOADED[1]
#: The only operation.
ENCODE_TEXT = "encode-text"


class TextEncoders(Workload):
    """Text encoders of any of transformers' classes."""

    name = "text encoder"
    part = "text encoder"
    page = "Text encoder"
    operations = (ENCODE_TEXT,)
    variants = OFFLOADED
    precisions = (*ITEM_BYTES, *QUANTISED)

    def specs(self) -> Iterable[Spec]:
        return zoo.listed()

    def axes(self, key: str) -> tuple[Axis, ...]:
        spec = zoo.get(key)
        return (
            Axis(
                "tokens",
                "tokens",
                usual=spec.tokens,
                print=lambda count: format_count(count, "token"),
                check=spec.tokens_refusal,
            ),
            Axis("batch", default=1),
        )

    def facts(self, key: str) -> Facts:
        spec = zoo.get(key)
        return Facts(class_name=spec.resident_class, parameters=spec.parameters)

    def transports(self, operation: str) -> tuple[Transport, ...]:
        return ("tensor", "predict")

    def carries(self, case: Case, transport: Transport) -> bool:
        """FLUX.2's protocol has no parameter for the number of tokens."""
        return transport != "predict" or case.axes["tokens"] == zoo.get(case.model).tokens

    def payload(self, case: Case) -> TextPayload:
        tokens, batch = case.axes["tokens"], case.axes["batch"]
        shape = (batch, tokens, zoo.get(case.model).width)
        return TextPayload(sample_prompts(batch, tokens), shape, case.dtype)

    def passes(self, case: Case) -> tuple[Shape, ...]:
        return (zoo.get(case.model).input_shape(case),)

    def load(self, case: Case, device: torch.device) -> Loaded:
        from bench.workloads.text_encoder import module  # noqa: PLC0415 - loads torch

        return module.EncoderOnDevice(case, device)

    def flops(self, case: Case, stage: str, passes: tuple[Shape, ...]) -> int | None:
        from bench.workloads.text_encoder import on_meta  # noqa: PLC0415 - loads torch

        return on_meta.call(case).flops(passes)

    def on_meta(self, case: Case) -> MetaCall:
        from bench.workloads.text_encoder import on_meta  # noqa: PLC0415 - loads torch

        return on_meta.call(case)
