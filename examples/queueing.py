r"""Decode one image at the endpoint while the next one is generated here.

python examples/queueing.py --endpoint http://127.0.0.1:8000/sd-v1 \
        --model stable-diffusion-v1-5/stable-diffusion-v1-5
"""

import argparse
import queue
import threading

import requests
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils.remote_utils import remote_decode

parser = argparse.ArgumentParser()
parser.add_argument("--endpoint", required=True, help="a model of `bench serve`, as http://127.0.0.1:8000/sd-v1")
parser.add_argument("--model", help="a checkpoint of SD v1.5; default: a tiny pipeline with random weights")
parser.add_argument("--size", type=int, default=512, help="side of the images in pixels")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--scaling-factor", type=float, default=0.18215)
parser.add_argument("--out", default="queue", help="beginning of the files' names")
args = parser.parse_args()
endpoint = args.endpoint.rstrip("/")

prompts = [
    "Blueberry ice cream in a stylish modern glass, mint leaves",
    "Lemonade in a glass, ice cubes, an aqua background",
    "A bowl of milk, falling cornflakes, berries",
]


def decode_worker(jobs, failures):
    """Decode what is put into the queue, until None is."""
    while (job := jobs.get()) is not None:
        number, latent = job
        try:
            image = remote_decode(
                endpoint=f"{endpoint}/decode", tensor=latent, scaling_factor=args.scaling_factor, image_format="png"
            )
        except (RuntimeError, ValueError, requests.RequestException) as error:  # else the thread would end here
            failures.append(f"image {number}: {error}")
            continue
        image.save(f"{args.out}-{number}.png")
        print(f"Wrote {args.out}-{number}.png")


device = "cuda" if torch.cuda.is_available() else "cpu"
if args.model:
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipe = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=dtype, vae=None)
else:
    from tiny_pipeline import build

    pipe = build(StableDiffusionPipeline)
pipe = pipe.to(device)

jobs, failures = queue.Queue(), []
thread = threading.Thread(target=decode_worker, args=(jobs, failures))
thread.start()

for number, prompt in enumerate(prompts, start=1):
    latent = pipe(
        prompt=prompt, height=args.size, width=args.size, num_inference_steps=args.steps, output_type="latent"
    ).images
    # The client sends a tensor's memory as it lies: bind a contiguous copy on the CPU, and pass that.
    latent = latent.detach().cpu().contiguous()
    jobs.put((number, latent))

jobs.put(None)
thread.join()
if failures:
    raise SystemExit("\n".join(failures))
