"""What a request carries: bytes by shape or by pixel, and the work on files."""

from __future__ import annotations

import pytest
from factories import a_case
from sides import FILES

from bench.analysis.hybrid.service import bodies


@pytest.mark.parametrize(
    ("case", "transport", "sent", "received"),
    [
        # a latent of 4 x 64 x 64 float16 values; 512 * 512 pixels of a byte each
        ({"model": "sd-v1", "operation": "decode", "size": 512, "dtype": "float16"}, "jpg", 32_768, 262_144),
        # SDXL at 1024 in float16: 131,072 up; 1024 * 1024 * 3 values of 2 bytes down
        ({"model": "sdxl", "operation": "decode", "size": 1024, "dtype": "float16"}, "pt", 131_072, 6_291_456),
        ({"model": "sdxl", "operation": "decode", "size": 1024, "dtype": "float16"}, "pt-partial", 131_072, 3_145_728),
        # Flux has 16 channels: 16 x 128 x 128 values of 2 bytes
        ({"model": "flux", "operation": "encode", "size": 1024, "dtype": "bfloat16"}, "png", 2_097_152, 524_288),
        ({"model": "sd-v1", "operation": "encode", "size": 512, "dtype": "float32"}, "pt", 3_145_728, 65_536),
    ],
)
def test_the_bytes_of_a_request(case: dict[str, object], transport: str, sent: int, received: int) -> None:
    found = bodies(a_case(**case), transport, FILES)  # type: ignore[arg-type]
    assert (found.sent_bytes, found.received_bytes) == (sent, received)


def test_an_encode_s_file_is_written_by_the_client_and_read_by_the_server() -> None:
    # 1,000,000 pixels: 0.1 s to write a PNG, 0.2 s to read it
    found = bodies(a_case(model="sd-v1", operation="encode", size=1000), "png", FILES)
    assert (found.client_s, found.server_s) == pytest.approx((0.1, 0.2))


def test_a_decode_s_file_is_written_by_the_server_and_read_by_the_client() -> None:
    found = bodies(a_case(model="sd-v1", operation="decode", size=1000), "jpg", FILES)
    assert (found.client_s, found.server_s) == pytest.approx((0.02, 0.01))


def test_a_batch_is_so_many_times_as_much() -> None:
    one, two = (bodies(a_case(operation="decode", batch=count), "pt", FILES) for count in (1, 2))
    assert (two.sent_bytes, two.received_bytes) == (2 * one.sent_bytes, 2 * one.received_bytes)
    assert (one.client_s, one.server_s) == (0, 0)
