"""VAEs that encode and decode images."""

from bench.workloads.image_vae.workload import ImageVae

WORKLOAD = ImageVae()
