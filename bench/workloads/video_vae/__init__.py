"""VAEs that encode and decode videos."""

from bench.workloads.video_vae.workload import VideoVaes

WORKLOAD = VideoVaes()
