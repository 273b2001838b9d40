"""The programs in examples/, each run against one local endpoint with a tiny model."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diffusers.utils.remote_utils import remote_decode, remote_encode
from endpoints import Child, serving
from PIL import Image
from processes import warm

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("--size", "64", "--scaling-factor", "1")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with serving(tmp_path_factory.mktemp("serve"), "--model", "tiny", "--device", "cpu", "--quiet") as made:
        yield made


def run(name: str, endpoint: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, environment = warm(dict(os.environ), str(EXAMPLES / name))
    return subprocess.run(
        [*command, "--endpoint", endpoint, *SMALL, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
        cwd=folder,
    )


def model(child: Child) -> str:
    return f"{child.url}/tiny"


def test_an_image_goes_to_its_latent_and_back(child: Child, tmp_path: Path) -> None:
    # Given an image
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "given.png")
    # When the example encodes and decodes it
    done = run("encode_decode.py", model(child), tmp_path, "--image", "given.png")
    # Then it wrote what diffusers' client gets for the same image
    assert done.returncode == 0, done.stderr
    image = Image.open(tmp_path / "given.png").resize((64, 64))
    latent = remote_encode(endpoint=f"{model(child)}/encode", image=image, scaling_factor=1)
    want = remote_decode(endpoint=f"{model(child)}/decode", tensor=latent, scaling_factor=1, image_format="png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "decoded.png")), np.asarray(want))


def test_an_image_is_changed_by_a_pipeline_without_a_vae(child: Child, tmp_path: Path) -> None:
    done = run("img2img.py", f"{model(child)}/", tmp_path, "--steps", "2")
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "img2img.png").size == (64, 64)


def test_images_are_decoded_while_others_are_generated(child: Child, tmp_path: Path) -> None:
    done = run("queueing.py", model(child), tmp_path, "--steps", "1")
    assert done.returncode == 0, done.stderr
    images = [Image.open(tmp_path / f"queue-{number}.png") for number in (1, 2, 3)]
    # the tiny VAE has 2 pixels to a latent's side, which the pipeline takes for 8
    assert {image.size for image in images} == {(16, 16)}
    assert len({image.tobytes() for image in images}) == 3


def test_a_decode_that_fails_is_reported_at_the_end(child: Child, tmp_path: Path) -> None:
    done = run("queueing.py", f"{child.url}/nothing", tmp_path, "--steps", "1")
    assert done.returncode == 1
    assert all(f"image {number}:" in done.stderr for number in (1, 2, 3))


def test_the_list_has_each_example_with_its_options() -> None:
    text = (EXAMPLES / "README.md").read_text()
    programs = {path.name for path in EXAMPLES.glob("*.py")} - {"tiny_pipeline.py"}
    commands = re.findall(r"`python examples/(\w+\.py)((?: [^`]*)?)`", text)
    assert {name for name, _ in commands} == programs
    for name, arguments in commands:
        options = set(re.findall(r"--[a-z-]+", arguments))
        assert options <= set(re.findall(r'"(--[a-z-]+)"', (EXAMPLES / name).read_text())), name
