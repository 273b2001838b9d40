"""Mistral Small 3 24B as FLUX.2 [dev] calls it.

Sizes are the class's defaults, those of the published configuration. The pipeline loads the whole class, with its
vision part and its language head, whose logits each call computes and drops. It pads to 512 tokens and joins the
hidden states of layers 10, 20 and 30. That the head has weights of its own is *assumed*: the published size of the
model, 24.0 billion parameters, has them, but the class's default is to share the embedding's.
"""

from bench.workloads.text_encoder.encoder_spec import EncoderSpec, sibling

_FULL = EncoderSpec(
    key="mistral-small-24b",
    title="Mistral Small 24B",
    aliases=("flux2-text", "mistral-small-3-24b"),
    resident_class="Mistral3ForConditionalGeneration",
    config_class="Mistral3Config",
    arguments={"tie_word_embeddings": False},
    parameters=24_011_361_280,
    used_parameters=23_572_403_200,
    vocabulary=131_072,
    tokens=512,
    most_tokens=131_072,
    width=3 * 5120,
    layers=(10, 20, 30),
    mask="padded",
    forbids_cache=True,
    template="flux2",
    hub_id="black-forest-labs/FLUX.2-dev",
    dtype="bfloat16",
    used_by="FLUX.2 [dev]",
    order=309,
)
MODELS = (
    _FULL,
    sibling(
        _FULL,
        arguments={
            "tie_word_embeddings": False,
            "text_config": {
                "model_type": "mistral",
                "vocab_size": 1024,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "max_position_embeddings": 131_072,
                "sliding_window": None,
            },
            "vision_config": {
                "model_type": "pixtral",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "head_dim": 16,
                "image_size": 56,
            },
        },
        parameters=334_592,
        used_parameters=279_104,
        vocabulary=1024,
        width=3 * 64,
        layers=(1, 2, 3),
    ),
)
