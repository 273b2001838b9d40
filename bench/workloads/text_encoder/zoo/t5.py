"""The encoders of T5 v1.1 XXL and of UMT5 XXL.

Sizes are those of the models' published configurations. Flux and SD 3 give T5 no mask; Wan gives UMT5 one. Neither
class limits a prompt's length: 512 tokens is what they were trained with, and what their tokenizers and Flux's pipeline
allow.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_SIZES = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
_SMALL = _SIZES | {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4, "vocab_size": 1024}

_T5 = EncoderSpec(
    key="t5-xxl",
    refuses_float16=True,
    title="T5-XXL",
    aliases=("t5-v1.1-xxl",),
    resident_class="T5EncoderModel",
    config_class="T5Config",
    arguments=_SIZES | {"vocab_size": 32_128},
    parameters=4_762_310_656,
    used_parameters=4_762_310_656,
    vocabulary=32_128,
    tokens=512,
    most_tokens=512,
    width=4096,
    hub_id="black-forest-labs/FLUX.1-schnell",
    hub_subfolder="text_encoder_2",
    tokenizer_subfolder="tokenizer_2",
    dtype="bfloat16",
    used_by="Flux, SD 3, PixArt, CogVideoX, Mochi, LTX-Video",
    order=303,
)
_UMT5 = EncoderSpec(
    key="umt5-xxl",
    refuses_float16=True,
    title="UMT5-XXL",
    resident_class="UMT5EncoderModel",
    config_class="UMT5Config",
    arguments=_SIZES | {"vocab_size": 256_384},
    parameters=5_680_910_336,
    used_parameters=5_680_910_336,
    vocabulary=256_384,
    tokens=512,
    most_tokens=512,
    width=4096,
    mask="padded",
    hub_id="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    dtype="bfloat16",
    used_by="Wan 2.1 and 2.2",
    order=304,
)
MODELS = (
    _T5,
    sibling(_T5, arguments=_SMALL, parameters=188_992, used_parameters=188_992, vocabulary=1024, width=64),
    _UMT5,
    sibling(_UMT5, arguments=_SMALL, parameters=189_248, used_parameters=189_248, vocabulary=1024, width=64),
)
