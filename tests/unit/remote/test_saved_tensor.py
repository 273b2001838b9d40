"""Files of `torch.save` from anybody: a bare tensor is read, and nothing else is ever run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
saved_tensor = pytest.importorskip("bench.remote.saved_tensor")
failures = pytest.importorskip("bench.remote.failures")
TENSOR = torch.arange(24, dtype=torch.float32).reshape(1, 4, 6)


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Program:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def rewritten(content: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """The archive with other contents of the members whose names end so (dots are underscores)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for member in old.namelist():
            short = member.rpartition("/")[2].replace(".", "_")
            new.writestr(member, members.get(short, old.read(member)))
    return buffer.getvalue()


def pickle_of(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


def refusal(content: bytes) -> str:
    with pytest.raises(failures.RequestError) as caught:
        saved_tensor.check(content)
    assert caught.value.outcome.exception == "NotATensor"
    return str(caught.value.outcome.message)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_a_bare_tensor_is_read(dtype: Any) -> None:
    content = saved(TENSOR.to(dtype))
    saved_tensor.check(content)
    assert torch.equal(saved_tensor.load(content), TENSOR.to(dtype))


def test_a_view_a_transposed_tensor_and_one_of_512_tokens_are_read() -> None:
    sliced = torch.zeros(1, 900, 4)[:, 800:].clone()  # whose first stride is longer than its storage
    for tensor in (sliced, TENSOR[:, 1:3], TENSOR.transpose(1, 2), torch.zeros(1, 512, 768, dtype=torch.bfloat16)):
        content = saved(tensor)
        saved_tensor.check(content)
        assert torch.equal(saved_tensor.load(content), tensor)


def test_a_program_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    program = Program(tmp_path / "made")
    bare, archive = pickle.dumps(program), saved(program)
    inside = rewritten(saved(TENSOR), data_pkl=pickle.dumps(program, protocol=2))
    assert "bare pickle" in refusal(bare)
    for content in (archive, inside):
        assert "was not run" in refusal(content) or "readable" in refusal(content)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("value", [collections.Counter("aab"), 3, "text", None, []])
def test_what_holds_no_tensor_is_refused(value: Any) -> None:
    refusal(saved(value))


def test_a_parameter_or_a_subclass_is_refused() -> None:
    assert "imports" in refusal(saved(torch.nn.Parameter(TENSOR)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"<html><body>Sign in</body></html>", "HTML"),
        (b'{"error": "paused"}', "JSON"),
        (b"\x00" * 100, "no file"),
        (b"PK\x03\x04", "damaged"),
        (saved(TENSOR)[:-40], "damaged"),
        (saved(TENSOR)[:200], "damaged"),
        (b"PK\x03\x04" + bytes(2000), "damaged"),
    ],
)
def test_what_is_no_archive_is_named(content: bytes, told: str) -> None:
    assert told in refusal(content)


def test_an_archive_that_would_grow_is_not_decompressed() -> None:
    bomb = rewritten(saved(TENSOR), zipfile.ZIP_DEFLATED, **{"0": bytes(50_000_000)})
    assert len(bomb) < 100_000
    assert "compressed" in refusal(bomb)


def test_two_members_of_one_name_are_refused() -> None:
    buffer = io.BytesIO(saved(TENSOR))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    with pytest.raises(failures.RequestError):
        saved_tensor.check(buffer.getvalue())


def test_a_storage_that_claims_more_values_than_it_has_is_refused() -> None:
    # torch would believe the 24 values of its pickle, and read beyond the 8 bytes
    assert "claims more" in refusal(rewritten(saved(TENSOR), **{"0": bytes(8)}))
    grown = pickle_of(saved(TENSOR)).replace(b"K\x18", b"J" + struct.pack("<i", 2**31 - 1))
    assert "claims more" in refusal(rewritten(saved(TENSOR), data_pkl=grown))


def test_sizes_beyond_the_storage_are_an_error_and_no_memory_of_others() -> None:
    grown = pickle_of(saved(TENSOR)).replace(b"K\x04K\x06", b"M\x00\x10K\x06")
    content = rewritten(saved(TENSOR), data_pkl=grown)
    saved_tensor.check(content)
    with pytest.raises(RuntimeError):
        saved_tensor.load(content)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",  # two gigabytes
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02.",
        b"\x80\x02" + b"K\x01" * 20_000 + b".",
        b"garbage",
    ],
)
def test_other_programs_in_an_archive_are_refused(program: bytes) -> None:
    refusal(rewritten(saved(TENSOR), data_pkl=program))
