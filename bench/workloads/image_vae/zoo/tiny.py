"""A VAE with few layers, which runs the real code path in milliseconds: for tests and first steps."""

from bench.workloads.image_vae.spec import ImageVaeSpec

MODEL = ImageVaeSpec(
    key="tiny",
    title="Tiny",
    block_out_channels=(32, 64),
    layers_per_block=1,
    norm_num_groups=8,
    sample_size=64,
    scaling_factor=1.0,
    dtype="float32",
    tile=64,
    order=9,
)
