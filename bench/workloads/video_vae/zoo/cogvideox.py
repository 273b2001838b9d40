"""The VAEs of CogVideoX, which differ in their weights and scaling. Arguments: diffusers' conversion script."""

from bench.workloads.vae_classes.cogvideox import COGVIDEOX
from bench.workloads.vae_classes.vae_class import VaeSpec

MODELS = [
    VaeSpec(
        key="cogvideox-2b",
        title="CogVideoX 2B",
        vae_class=COGVIDEOX,
        hub_id="THUDM/CogVideoX-2b",
        hub_subfolder="vae",
        scaling_factor=1.15258426,
        dtype="float16",
        tile=COGVIDEOX.tile,
        frames=49,
        parameters=215_583_907,
        size=(720, 480),
        fps=8,
        order=107,
    ),
    VaeSpec(
        key="cogvideox-5b",
        title="CogVideoX 5B",
        vae_class=COGVIDEOX,
        hub_id="THUDM/CogVideoX-5b",
        hub_subfolder="vae",
        scaling_factor=0.7,
        dtype="bfloat16",
        tile=COGVIDEOX.tile,
        frames=49,
        parameters=215_583_907,
        size=(720, 480),
        fps=8,
        order=108,
    ),
]
