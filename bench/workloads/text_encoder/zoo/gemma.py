"""Gemma 2 2B without its head, as Sana's pipeline calls it.

Sizes are the class's defaults, those of the published configuration. The class computes attention in separate products,
because its scores are capped. The pipeline puts an instruction before the prompt, whose tokens it drops; that they are
250 is *assumed*, because counting them takes the tokenizer.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_TEMPLATE = 250
_FULL = EncoderSpec(
    key="gemma-2-2b",
    title="Gemma 2 2B",
    aliases=("sana-text",),
    resident_class="Gemma2Model",
    config_class="Gemma2Config",
    arguments={},
    parameters=2_614_341_888,
    used_parameters=2_614_341_888,
    vocabulary=256_000,
    tokens=300,
    most_tokens=8192 - _TEMPLATE,
    template_tokens=_TEMPLATE,
    width=2304,
    mask="padded",
    template="sana",
    keeps_first=True,
    hub_id="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
    dtype="bfloat16",
    used_by="Sana",
    order=308,
)
MODELS = (
    _FULL,
    sibling(
        _FULL,
        arguments={
            "vocab_size": 1024,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
        },
        parameters=214_080,
        used_parameters=214_080,
        vocabulary=1024,
        width=64,
    ),
)
