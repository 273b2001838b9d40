"""The endpoint on a real GPU: the bytes of CUDA tensors, results against local calls, and life after out-of-memory.

`pytest -m gpu` runs these; without a GPU they are skipped with the reason.
"""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bench.core import stats

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason="no CUDA GPU here"),
]
#: What a 2048 px decode of SD v1.5 can't do with.
SCARCE_BYTES = 2**30


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """`bench serve` of SD v1.5 on the GPU."""
    pytest.importorskip("uvicorn")
    from endpoints import serving

    with serving(tmp_path_factory.mktemp("serve"), "--model", "sd-v1", "--device", "cuda") as child:
        yield child


def latent(side: int) -> object:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((1, 4, side // 8, side // 8), generator=generator).to("cuda", torch.float16)


def post_latent(url: str, tensor: object) -> tuple[int, bytes]:
    """Status and body of a decode to `pt`."""
    shape = "".join(f"&shape={size}" for size in tensor.shape)  # type: ignore[attr-defined]
    body = tensor.cpu().numpy().tobytes()  # type: ignore[attr-defined]
    request = Request(f"{url}?output_type=pt&dtype=float16{shape}", body, {"Accept": "tensor/binary"})  # noqa: S310
    try:
        with urlopen(request, timeout=120) as response:  # noqa: S310 - loopback
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()


def test_cuda_tensors_arrive_as_they_were_in_every_layout_with_the_remedy() -> None:
    # When a thousand payloads of each layout go through the installed diffusers, CUDA's among them
    command = [sys.executable, "benchmarks/payloads.py", "--tries", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=540)
    # Then none differs that was made ready before
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cuda" in done.stdout


@pytest.mark.parametrize("layout", ["contiguous", "permuted", "channels-last", "strided"])
def test_the_remedy_copies_a_cuda_tensor_in_its_own_order(layout: str) -> None:
    from bench.remote.payloads import bytes_of, sendable

    whole = torch.arange(2 * 4 * 16 * 16, device="cuda", dtype=torch.float32).reshape(2, 4, 16, 16)
    tensor = {
        "contiguous": whole,
        "permuted": whole.permute(0, 2, 3, 1),
        "channels-last": whole.contiguous(memory_format=torch.channels_last),
        "strided": whole[..., ::2],
    }[layout]
    wanted = b"".join(torch.tensor([value]).numpy().tobytes() for value in tensor.flatten().tolist())
    assert hashlib.sha256(bytes_of(sendable(tensor))).digest() == hashlib.sha256(wanted).digest()


def test_diffusers_decodes_remotely_what_the_same_vae_decodes_on_this_gpu(endpoint: object) -> None:
    from diffusers.utils.remote_utils import remote_decode
    from factories import a_case

    from bench.remote.payloads import sendable
    from bench.workloads.vae_classes.module import VaeOnDevice

    # Given a latent and the same model here
    case = a_case(model="sd-v1", operation="decode", size=512, dtype="float16")
    z = latent(512)
    with torch.inference_mode():
        here = VaeOnDevice(case, torch.device("cuda", 0)).decode(z / 0.18215).cpu()
    # When the endpoint decodes it
    there = remote_decode(
        endpoint.route("sd-v1", "decode"),  # type: ignore[attr-defined]
        sendable(z),
        scaling_factor=0.18215,
        output_type="pt",
        return_type="pt",
    )
    # Then the two agree to what two processes' choice of kernels may differ by
    torch.testing.assert_close(there, here, atol=2e-3, rtol=2e-3)


def test_out_of_memory_is_a_507_and_the_next_request_is_served(endpoint: object) -> None:
    url = endpoint.route("sd-v1", "decode")  # type: ignore[attr-defined]
    # Given a GPU that is full but for a GiB
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(max(0, free - SCARCE_BYTES), dtype=torch.uint8, device="cuda")
    # When a decode asks for more
    status, body = post_latent(url, latent(2048))
    # Then it is told so, and once there is room again the same request is served
    assert (status, json.loads(body)["reason"]) == (507, "out_of_memory")
    del hog
    gc.collect()
    torch.cuda.empty_cache()
    status, body = post_latent(url, latent(2048))
    assert (status, len(body)) == (200, 3 * 2048 * 2048 * 2)


def test_an_endpoint_answers_nine_tenths_of_a_slow_gpu_s_rate_and_most_of_a_fast_one_s(tmp_path: Path) -> None:
    out = tmp_path / "throughput.json"
    command = [
        sys.executable,
        "benchmarks/endpoint_throughput.py",
        "--model",
        "sd-v1",
        "--resolution",
        "1024",
        "--least",
        "0",
    ]
    done = subprocess.run([*command, "--json", str(out)], capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    # What the endpoint adds to a call does not shrink with it. Nine tenths are asked where a call takes 50 ms or more;
    # below that 5 ms a call are allowed, which is half a call of 10 ms (assumed: not measured on a GPU yet).
    told = json.loads(out.read_text())
    call_s = 1 / stats.median(told["local"])
    assert told["share"] >= min(0.9, call_s / (call_s + 0.005))
