"""Encode prompts at a remote text encoder with diffusers' own step for FLUX.2, so that no text encoder is loaded here.

python examples/flux2_remote_text_encoder.py --endpoint http://127.0.0.1:8000/predict --prompt "a red fox in snow"
"""

import argparse

import torch
from diffusers.modular_pipelines.flux2.encoders import Flux2RemoteTextEncoderStep

parser = argparse.ArgumentParser()
parser.add_argument(
    "--endpoint", required=True, help="of `bench serve --model flux2-text`: http://127.0.0.1:8000/predict"
)
parser.add_argument("--prompt", action="append", help="a prompt; repeatable")
parser.add_argument("--out", default="prompt_embeds.pt")
args = parser.parse_args()


class RemoteTextEncoderStep(Flux2RemoteTextEncoderStep):
    """diffusers' step, with another address and nothing else changed."""

    REMOTE_URL = args.endpoint


# The step sends the token of `hf auth login` or of HF_TOKEN, and `Bearer None` if there is none.
text_encoder = RemoteTextEncoderStep().init_pipeline()
prompt_embeds = text_encoder(prompt=args.prompt or ["a red fox in snow"], output="prompt_embeds")
print(f"The embeddings are {tuple(prompt_embeds.shape)}, {prompt_embeds.dtype}")

# Give them to a pipeline that was loaded without its text encoder:
#   pipe = Flux2Pipeline.from_pretrained("black-forest-labs/FLUX.2-dev", text_encoder=None, torch_dtype=torch.bfloat16)
#   pipe.enable_model_cpu_offload()
#   image = pipe(prompt_embeds=prompt_embeds.to("cuda", torch.bfloat16)).images[0]
torch.save(prompt_embeds.cpu(), args.out)
print(f"Wrote {args.out}")
