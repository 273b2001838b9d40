"""Qwen2.5-VL 7B as Qwen-Image calls it, and Qwen3 4B as Z-Image does.

Sizes are those of the models' published configurations. Qwen-Image loads the whole Qwen2.5-VL, with its vision part and
its language head, whose logits each call computes and drops. It pads prompts to the longest of a batch, so that a
single one has no padding, and drops the 34 tokens of its template. Z-Image pads to 512 and takes the last hidden state
but one. FLUX.2 [klein] loads the same Qwen3 with its head, whose weights are those of the embedding, and joins three
hidden states. None of them forbids the cache of keys and values.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_TEMPLATE = 34
_VL = EncoderSpec(
    key="qwen2.5-vl-7b",
    title="Qwen2.5-VL 7B",
    aliases=("qwen-image-text",),
    resident_class="Qwen2_5_VLForConditionalGeneration",
    config_class="Qwen2_5_VLConfig",
    arguments={
        "text_config": {
            "vocab_size": 152_064,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 128_000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584},
    },
    parameters=8_292_166_656,
    used_parameters=7_615_616_512,
    vocabulary=152_064,
    tokens=1024,
    most_tokens=128_000 - _TEMPLATE,
    template_tokens=_TEMPLATE,
    width=3584,
    layers=(-1,),
    mask="full",
    template="qwen-image",
    hub_id="Qwen/Qwen-Image",
    dtype="bfloat16",
    used_by="Qwen-Image, HunyuanVideo 1.5",
    order=306,
)
_QWEN3 = EncoderSpec(
    key="qwen3-4b",
    title="Qwen3 4B",
    aliases=("z-image-text",),
    resident_class="Qwen3Model",
    config_class="Qwen3Config",
    arguments={
        "vocab_size": 151_936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40_960,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    },
    parameters=4_022_468_096,
    used_parameters=4_022_468_096,
    vocabulary=151_936,
    tokens=512,
    most_tokens=40_960,
    width=2560,
    layers=(-2,),
    mask="padded",
    template="z-image",
    hub_id="Tongyi-MAI/Z-Image-Turbo",
    dtype="bfloat16",
    used_by="Z-Image, FLUX.2 [klein] 4B",
    order=307,
)
_SMALL = {
    "vocab_size": 1024,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 40_960,
}
MODELS = (
    _VL,
    sibling(
        _VL,
        arguments={
            "text_config": {
                "vocab_size": 1024,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 128_000,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [2, 3, 3]},
            },
            "vision_config": {
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_heads": 2,
                "out_hidden_size": 64,
                "fullatt_block_indexes": [1],
            },
            "image_token_id": 1020,
            "video_token_id": 1021,
            "vision_start_token_id": 1022,
            "vision_end_token_id": 1023,
        },
        parameters=326_112,
        used_parameters=242_496,
        vocabulary=1024,
        width=64,
    ),
    _QWEN3,
    sibling(_QWEN3, arguments=_SMALL, parameters=176_672, used_parameters=176_672, vocabulary=1024, width=64),
)
