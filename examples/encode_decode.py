"""Encode an image at a remote VAE, and decode its latent there.

python examples/encode_decode.py --endpoint http://127.0.0.1:8000/sd-v1 --image cat.png
"""

import argparse

import numpy as np
from diffusers.utils.remote_utils import remote_decode, remote_encode
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("--endpoint", required=True, help="a model of `bench serve`, as http://127.0.0.1:8000/sd-v1")
parser.add_argument("--image", help="an image file; default: a gradient")
parser.add_argument("--size", type=int, default=512, help="side of the image in pixels")
parser.add_argument("--scaling-factor", type=float, default=0.18215, help="SD v1: 0.18215, SDXL: 0.13025")
parser.add_argument("--out", default="decoded.png")
args = parser.parse_args()
endpoint = args.endpoint.rstrip("/")

if args.image:
    image = Image.open(args.image).convert("RGB")
else:
    across = np.linspace(0, 255, args.size, dtype=np.uint8)
    image = Image.fromarray(np.stack(np.broadcast_arrays(across, across[:, None], across[::-1]), axis=-1))
image = image.resize((args.size, args.size))

latent = remote_encode(endpoint=f"{endpoint}/encode", image=image, scaling_factor=args.scaling_factor)
print(f"The latent of {image.width}x{image.height} px is {tuple(latent.shape)}, {latent.dtype}")

decoded = remote_decode(
    endpoint=f"{endpoint}/decode", tensor=latent, scaling_factor=args.scaling_factor, image_format="png"
)
decoded.save(args.out)
print(f"Wrote {args.out}")
