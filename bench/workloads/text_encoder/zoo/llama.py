"""Llama 3 8B without its head, as HunyuanVideo's pipeline calls it.

Sizes are those of the model's published configuration. The pipeline pads prompts to 256 tokens after a template of 95,
takes the hidden state before the last two layers, and drops the template's tokens. It does not forbid the cache of keys
and values, which is therefore made.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_TEMPLATE = 95
_FULL = EncoderSpec(
    key="llama-3-8b",
    title="Llama 3 8B",
    aliases=("llava-llama-3-8b",),
    resident_class="LlamaModel",
    config_class="LlamaConfig",
    arguments={
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
    },
    parameters=7_504_924_672,
    used_parameters=7_504_924_672,
    vocabulary=128_256,
    tokens=256,
    most_tokens=8192 - _TEMPLATE,
    template_tokens=_TEMPLATE,
    width=4096,
    layers=(-3,),
    mask="padded",
    template="hunyuan-video",
    hub_id="hunyuanvideo-community/HunyuanVideo",
    dtype="float16",
    used_by="HunyuanVideo",
    order=305,
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
            "max_position_embeddings": 8192,
        },
        parameters=213_568,
        used_parameters=213_568,
        vocabulary=1024,
        width=64,
    ),
)
