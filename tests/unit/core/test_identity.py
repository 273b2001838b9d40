"""A GPU's UUID is replaced by a hash of it, in whatever spelling it stands and wherever it is written."""

from __future__ import annotations

import json

import pytest
from factories import an_environment
from machines import a_host

from bench.core import identity
from bench.process.child import Child

PLAIN = "8932f937-d72c-4106-c12f-20bd9faed9f6"
HASH = identity.of(PLAIN)


@pytest.mark.parametrize("spelling", [PLAIN, f"GPU-{PLAIN}", f"MIG-{PLAIN}", PLAIN.upper(), f"gpu-{PLAIN}"])
def test_every_spelling_of_a_uuid_has_one_identity(spelling: str) -> None:
    assert identity.of(spelling) == HASH
    assert identity.hide(f"CUDA error on {spelling}: lost") == f"CUDA error on {HASH}: lost"


def test_an_identity_is_a_truncated_sha_256() -> None:
    assert identity.of("GPU-0") == "sha256:5feceb66ffc8"  # sha256 of "0"


@pytest.mark.parametrize(
    "value",
    [
        f"GPU-{PLAIN}",
        f"GPU-{PLAIN},MIG-{PLAIN}",
        f"0,GPU-{PLAIN}",
        "GPU-8932f937",  # CUDA takes the beginning of one
        "GPU-8932f937-d72c",
        f"MIG-GPU-{PLAIN}/1/0",  # as drivers before 470 wrote a slice
        PLAIN,
    ],
)
@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "PYTORCH_ALLOC_CONF"])
def test_no_uuid_is_left_in_a_variable_of_a_record_or_a_machine(name: str, value: str) -> None:
    told = [an_environment(variables={name: value}), a_host(variables={name: value})]

    for model in told:
        text = model.model_dump_json()
        assert "8932f937" not in text
        assert json.loads(text)["variables"][name].count("sha256:") == value.count("8932f937")


@pytest.mark.parametrize("text", ["0,1", "", "GPU-accelerated", "NVIDIA GPU - 3 of them", "MIG-off", "12345678-1234"])
def test_what_is_no_uuid_stays(text: str) -> None:
    assert identity.hide(text) == text


def test_hiding_twice_changes_nothing() -> None:
    once = identity.hide(f"GPU-{PLAIN}/1")
    assert identity.hide(once) == once


def test_a_child_s_last_words_have_no_uuid() -> None:
    child = Child(("sh", "-c", f"echo 'no such device GPU-{PLAIN}' >&2"))
    assert child.line(60) is None
    assert child.stderr_tail() == f"no such device {HASH}"
    child.kill(10)
