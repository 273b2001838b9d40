r"""Change an image with a pipeline that has no VAE of its own: the endpoint encodes the image and decodes the result.

python examples/img2img.py --endpoint http://127.0.0.1:8000/sd-v1 \
        --model stable-diffusion-v1-5/stable-diffusion-v1-5
"""

import argparse

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.utils.remote_utils import remote_decode, remote_encode
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("--endpoint", required=True, help="a model of `bench serve`, as http://127.0.0.1:8000/sd-v1")
parser.add_argument("--model", help="a checkpoint of SD v1.5; default: a tiny pipeline with random weights")
parser.add_argument("--image", help="an image file; default: a plain one")
parser.add_argument("--prompt", default="a fantasy landscape, trending on artstation")
parser.add_argument("--size", type=int, default=512, help="side of the image in pixels")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--scaling-factor", type=float, default=0.18215)
parser.add_argument("--out", default="img2img.png")
args = parser.parse_args()
endpoint = args.endpoint.rstrip("/")

device = "cuda" if torch.cuda.is_available() else "cpu"
if args.model:
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(args.model, torch_dtype=dtype, vae=None)
else:
    from tiny_pipeline import build

    pipe = build(StableDiffusionImg2ImgPipeline)
pipe = pipe.to(device)

image = Image.open(args.image).convert("RGB") if args.image else Image.new("RGB", (64, 64), "teal")
image = image.resize((args.size, args.size))
init_latent = remote_encode(endpoint=f"{endpoint}/encode", image=image, scaling_factor=args.scaling_factor)

latent = pipe(
    prompt=args.prompt,
    image=init_latent.to(pipe.unet.dtype),
    strength=0.75,
    num_inference_steps=args.steps,
    output_type="latent",
).images

# The client sends a tensor's memory as it lies: bind a contiguous copy on the CPU, and pass that.
latent = latent.detach().cpu().contiguous()
result = remote_decode(
    endpoint=f"{endpoint}/decode", tensor=latent, scaling_factor=args.scaling_factor, image_format="png"
)
result.save(args.out)
print(f"Wrote {args.out}")
