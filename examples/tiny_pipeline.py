"""A Stable Diffusion pipeline with few layers and random weights: examples run anywhere and download nothing.

It makes noise, not pictures. `vae=None`: the VAE is the endpoint's.
"""

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast


def build(pipeline_class):
    """A tiny pipeline of `StableDiffusionPipeline` or `StableDiffusionImg2ImgPipeline`."""
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<word>": 1}, unk_token="<word>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    text = CLIPTextConfig(
        vocab_size=2, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0
    )
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        sample_size=8,
    )
    return pipeline_class(
        vae=None,
        text_encoder=CLIPTextModel(text),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", model_max_length=77),
        unet=unet,
        scheduler=EulerDiscreteScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
