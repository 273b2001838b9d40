"""CLIP's text encoders: that of OpenAI's ViT-L/14, and that of OpenCLIP's ViT-bigG/14.

Sizes are those of the models' published configurations. CLIP-L is measured as the pipelines of Stable Diffusion v1.5
call it, CLIP-G as those of SDXL: the last hidden state but one, and the projected vector of the whole prompt. Flux
takes only CLIP-L's pooled vector, which the same call makes. No pipeline gives them a mask.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_L = EncoderSpec(
    key="clip-l",
    title="CLIP-L",
    aliases=("clip-vit-l-14",),
    resident_class="CLIPTextModel",
    config_class="CLIPTextConfig",
    arguments={
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    parameters=123_060_480,
    used_parameters=123_060_480,
    vocabulary=49_408,
    tokens=77,
    most_tokens=77,
    width=768,
    has_pooled=True,
    hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
    dtype="float16",
    used_by="Stable Diffusion v1.5, SDXL, SD 3, Flux, HunyuanVideo",
    order=301,
)
_G = EncoderSpec(
    key="clip-g",
    title="CLIP-G",
    aliases=("clip-bigg", "clip-vit-bigg-14"),
    resident_class="CLIPTextModelWithProjection",
    config_class="CLIPTextConfig",
    arguments={
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
    parameters=694_659_840,
    used_parameters=694_659_840,
    vocabulary=49_408,
    tokens=77,
    most_tokens=77,
    width=1280,
    layers=(-2,),
    has_pooled=True,
    hub_id="stabilityai/stable-diffusion-xl-base-1.0",
    hub_subfolder="text_encoder_2",
    tokenizer_subfolder="tokenizer_2",
    dtype="float16",
    used_by="SDXL, SD 3",
    order=302,
)
_SMALL = {
    "vocab_size": 1024,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "projection_dim": 64,
    "eos_token_id": 1023,
    "bos_token_id": 1022,
}
MODELS = (
    _L,
    sibling(_L, arguments=_SMALL, parameters=171_008, used_parameters=171_008, vocabulary=1024, width=64),
    _G,
    sibling(
        _G,
        arguments=_SMALL | {"hidden_act": "gelu"},
        parameters=175_104,
        used_parameters=175_104,
        vocabulary=1024,
        width=64,
    ),
)
