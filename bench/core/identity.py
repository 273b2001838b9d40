"""Hashes of GPU UUIDs.

A UUID identifies one physical card for its lifetime, so records, pages, messages and logs hold its hash instead.
"""

from __future__ import annotations

import hashlib
import re

#: UUIDs as the driver and CUDA_VISIBLE_DEVICES write them: `GPU-...` or `MIG-...`, possibly abbreviated;
#: `MIG-GPU-.../1/0`, which drivers before 470 used for a slice; and a full UUID without a prefix.
_UUID = re.compile(
    r"\b(?:MIG-GPU|GPU|MIG)-[0-9a-f][0-9a-f-]{3,35}(?![0-9a-z-])(?:/\d+/\d+)?"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^(?:MIG-GPU|GPU|MIG)-", re.IGNORECASE)
_DIGITS = 12


def of(uuid: str) -> str:
    """`sha256:` and the first 12 hexadecimal digits of a UUID's SHA-256. Prefix and case do not change it."""
    plain = _PREFIX.sub("", uuid.strip()).lower()
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()[:_DIGITS]}"


def hide(text: str) -> str:
    """The text with each GPU UUID replaced by its hash (`of`)."""
    return _UUID.sub(lambda match: of(match.group()), text)
