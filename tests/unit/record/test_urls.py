"""No password of a URL gets into a record, whatever an endpoint was named."""

from __future__ import annotations

import pytest
from factories import a_device

from bench.record.urls import without_url_secrets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:secret@host:8443/vae", "https://host:8443/vae"),
        ("mine, at https://me:secret@host", "mine, at https://host"),
        ("https://token@host/vae?key=secret", "https://host/vae"),
        ("me:secret@host:8000", "host:8000"),
        ("me:p@ss@host", "host"),
        ("https://me:sec/ret@host", "https://host"),
        ("host:8000/@me", "host:8000/@me"),
        ("https://host:8000/@me", "https://host:8000/@me"),
        ("A100 @ 10.0.0.1:8000", "A100 @ 10.0.0.1:8000"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
    ],
)
def test_the_name_of_a_device_holds_no_password(text: str, expected: str) -> None:
    assert a_device(kind="endpoint", name=text).name == expected
    assert without_url_secrets(expected) == expected
