"""Text encoders of diffusion pipelines."""

from bench.workloads.text_encoder.encoder_workload import TextEncoders

WORKLOAD = TextEncoders()
