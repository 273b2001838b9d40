"""Whole pipelines, from a text or a picture to pictures or a video."""

from bench.workloads.pipeline.pipeline_workload import Pipelines

WORKLOAD = Pipelines()
