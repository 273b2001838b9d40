"""What stands for a GPU's UUID wherever something is written: a hash of it. Imports nothing of the project.

A UUID names one card in the world for as long as it lives, so none may reach a record, a page, a message or a log.
"""

from __future__ import annotations

import hashlib
import re

#: UUIDs as the driver and the variables that choose GPUs have them: `GPU-...` or `MIG-...`, also cut short, as
#: CUDA_VISIBLE_DEVICES allows; `MIG-GPU-.../1/0`, as drivers before 470 wrote a slice; and one without a prefix.
_UUID = re.compile(
    r"\b(?:MIG-GPU|GPU|MIG)-[0-9a-f][0-9a-f-]{3,35}(?![0-9a-z-])(?:/\d+/\d+)?"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^(?:MIG-GPU|GPU|MIG)-", re.IGNORECASE)
_DIGITS = 12


def of(uuid: str) -> str:
    """`sha256:` and the first 12 hexadecimal digits of a UUID's SHA-256, the same whatever prefix or case it has."""
    plain = _PREFIX.sub("", uuid.strip()).lower()
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()[:_DIGITS]}"


def hide(text: str) -> str:
    """The text with each GPU's UUID in it replaced by what `of` gives."""
    return _UUID.sub(lambda match: of(match.group()), text)
