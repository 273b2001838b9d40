"""What an image file takes on the way to and from an endpoint: bytes, and seconds of one core to write and to read it.

    python benchmarks/image_files.py [--repeats 7]

Prints the `files` of configs/networks.yaml, from which `bench hybrid` makes requests that nobody measured. The images
are those that `bench remote` sends: 1/f noise, whose spectrum is that of photographs (their files' sizes scatter widely
around it). PNG as diffusers' client writes it (Pillow's defaults) and as `bench serve` reads it; JPEG as `bench serve`
writes it (quality 95), read whole. Medians of the sizes together, so that no one size decides.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from bench.device.cpu import host
from bench.endpoint import images
from bench.remote.image_body import natural_image

SIZES = (512, 1024, 2048)


def median_s(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that does not count."""
    call()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def png(image: Image.Image) -> bytes:
    """As diffusers' client writes it."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def opened(payload: bytes) -> None:
    """A file read as a client reads an answer."""
    with Image.open(io.BytesIO(payload)) as image:
        image.load()


def main() -> None:
    """Measure both formats at three sizes and print what configs/networks.yaml says of them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=7)
    repeats = arguments.parse_args().repeats
    rows: dict[str, list[tuple[float, float, float]]] = {"jpg": [], "png": []}
    for size in SIZES:
        pixels = np.rint(natural_image(size, size, 0) * 255).astype(np.uint8)
        image, mpx = Image.fromarray(pixels), size * size / 1e6
        files = {"jpg": images.write(pixels, "jpeg"), "png": png(image)}
        writes = {"jpg": lambda pixels=pixels: images.write(pixels, "jpeg"), "png": lambda image=image: png(image)}
        for kind, payload in files.items():
            write_s = median_s(writes[kind], repeats) / mpx
            read_s = median_s(lambda payload=payload: opened(payload), repeats) / mpx
            rows[kind].append((len(payload) / size / size, write_s, read_s))
            print(f"# {size} px {kind}: {rows[kind][-1][0]:.3f} B/px, write {write_s:.4f}, read {read_s:.4f} s/Mpx")
    about = f"python benchmarks/image_files.py, {host.cpu_name()}, {datetime.now(UTC):%Y-%m-%d}"
    print("files:")
    for kind, found in rows.items():
        size, write_s, read_s = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"  {kind}:\n    bytes_per_pixel: {size:.3f}\n    write_s_per_mpx: {write_s:.4f}")
        print(f"    read_s_per_mpx: {read_s:.4f}\n    source: {about}")


if __name__ == "__main__":
    main()
