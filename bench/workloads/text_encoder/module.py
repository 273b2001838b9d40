"""A text encoder on a device: built or loaded as pipelines do, and called as they call it (torch).

Only processes that compute import it: the worker and the endpoint.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import accelerate
import torch

from bench.core.units import QUANTISED
from bench.errors import ConfigError
from bench.record import Case
from bench.workloads.base import Call, Stage
from bench.workloads.text_encoder import encoder_checkpoint, quantised, zoo
from bench.workloads.text_encoder.encoder_spec import EncoderSpec

_SEED = 0


class EncoderOnDevice:
    """A text encoder on a device, ready for any case with its model, weights, dtype and variant."""

    def __init__(self, case: Case, device: torch.device) -> None:
        """Build or load the encoder. May raise out-of-memory, or OSError if a checkpoint can't be loaded.

        Offloaded, it lies in the host's memory.
        """
        self._spec = zoo.get(case.model)
        self._device = device
        self._moves = case.variant == "cpu-offload"
        place = device if case.variant == "default" else torch.device("cpu")
        self._module = _load(self._spec, case, place)
        if case.variant == "sequential-offload":
            accelerate.cpu_offload(self._module, device, offload_buffers=True)

    @property
    def module(self) -> Any:
        """The whole module that a pipeline loads, of transformers."""
        return self._module

    @property
    def spec(self) -> EncoderSpec:
        """What is known of the model."""
        return self._spec

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    def encode(
        self, token_ids: torch.Tensor, mask: torch.Tensor | None = None, template_tokens: int | None = None
    ) -> torch.Tensor:
        """What a pipeline gets for token ids on the device: (batch, tokens, width), without the template's tokens.

        `token_ids` are (batch, template's tokens + tokens), of any integer type. `mask` has their shape, with 0 for
        padding; None: no padding. It is ignored if the pipeline gives none. `template_tokens` are those of the template
        if a tokenizer made others than the model's entry says (`prompts`). Asynchronous on CUDA.
        """
        if not self._moves:
            return encode(self._module, self._spec, token_ids, mask, template_tokens)
        self._module.to(self._device)
        answer = encode(self._module, self._spec, token_ids, mask, template_tokens)
        self._module.to("cpu")
        return answer

    def prepare(self, case: Case) -> Call:
        """Create the token ids of a case's prompts, and the call that encodes them."""
        token_ids = random_token_ids(self._spec, case).to(self._device)
        run = partial(self.encode, token_ids, usual_mask(self._spec, token_ids))
        return Call((Stage(case.operation, run),))


def encode(
    module: Any,
    spec: EncoderSpec,
    token_ids: torch.Tensor,
    mask: torch.Tensor | None,
    template_tokens: int | None = None,
) -> torch.Tensor:
    """`EncoderOnDevice.encode` for any module of the model, also on meta tensors."""
    arguments: dict[str, Any] = {}
    if spec.mask != "none":
        arguments["attention_mask"] = torch.ones_like(token_ids) if mask is None else mask
    if spec.forbids_cache:
        arguments["use_cache"] = False
    output = module(input_ids=token_ids, output_hidden_states=bool(spec.layers), **arguments)
    if not spec.layers:
        states = output.last_hidden_state
    elif len(spec.layers) == 1:
        states = output.hidden_states[spec.layers[0]]
    else:
        states = torch.stack([output.hidden_states[layer] for layer in spec.layers], dim=1)
        states = states.permute(0, 2, 1, 3).reshape(*token_ids.shape, spec.width)
    dropped = spec.template_tokens if template_tokens is None else template_tokens
    return _without_template(spec, states, dropped)


def _without_template(spec: EncoderSpec, states: torch.Tensor, dropped: int) -> torch.Tensor:
    """The states of the prompt's tokens. Sana keeps the first of all, which begins the text."""
    if spec.keeps_first and dropped:
        return torch.cat((states[:, :1], states[:, dropped + 1 :]), dim=1)
    return states[:, dropped:]


def random_token_ids(spec: EncoderSpec, case: Case) -> torch.Tensor:
    """Ids from a fixed seed, of ordinary tokens: special ones are at both ends of each vocabulary."""
    ends = spec.vocabulary // 10
    generator = torch.Generator().manual_seed(_SEED)
    return torch.randint(ends, spec.vocabulary - ends, spec.input_shape(case), generator=generator)


def usual_mask(spec: EncoderSpec, token_ids: torch.Tensor) -> torch.Tensor | None:
    """The mask with which a pipeline calls the encoder: for a prompt that fills half of the tokens where it pads."""
    if spec.mask == "none":
        return None
    mask = torch.ones_like(token_ids)
    if spec.mask == "padded":
        mask[:, -(-token_ids.shape[1] // 2) :] = 0
    return mask


def _load(spec: EncoderSpec, case: Case, device: torch.device) -> Any:
    precision = getattr(torch, spec.computed_in(case.dtype))
    is_quantised = case.dtype in QUANTISED
    if case.weights == "random":
        torch.manual_seed(_SEED)
        if not is_quantised:
            return build(spec, precision, device)
        module = quantised.build(spec, case.dtype, device, partial(_build_empty, spec, precision))
    else:
        how = quantised.load_arguments(spec, case.dtype, device) if is_quantised else {}
        place = encoder_checkpoint.place(spec, case.weights)
        module = in_transformers(spec.resident_class).from_pretrained(**place, dtype=precision, **how)
        encoder_checkpoint.check_architecture(spec, module.config)
        module = module if is_quantised else module.to(device)
    if is_quantised:
        for number, scale in enumerate(quantised.scales(module)):
            module.register_buffer(f"scale_{number}", scale, persistent=False)  # so that they count as weights
    return module.eval().requires_grad_(False)


def build(spec: EncoderSpec, precision: torch.dtype, device: torch.device) -> Any:
    """The module that pipelines load, with transformers' random initialisation, made on the device."""
    config = in_transformers(spec.config_class)(**spec.arguments)
    with torch.device(device):
        module = in_transformers(spec.resident_class)._from_config(config, dtype=precision)
    return module.eval().requires_grad_(False)


def _build_empty(spec: EncoderSpec, precision: torch.dtype) -> Any:
    """The module with parameters on meta tensors, and its buffers in the host's memory."""
    config = in_transformers(spec.config_class)(**spec.arguments)
    with accelerate.init_empty_weights(include_buffers=False):
        return in_transformers(spec.resident_class)._from_config(config, dtype=precision)


def in_transformers(name: str) -> Any:
    """A class of transformers. Raises ConfigError if the installed version has none of this name."""
    transformers: Any = import_module("transformers")
    known = getattr(transformers, name, None)
    if known is None:
        raise ConfigError(
            f"transformers {transformers.__version__} has no {name}. Update it: pip install --upgrade transformers"
        )
    return known
