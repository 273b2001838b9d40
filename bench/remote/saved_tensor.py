"""Reads a tensor out of a file of `torch.save` that an unknown endpoint sent.

Such a file is a zip archive with a pickle, and a pickle is a program. It is only ever run by torch's own restricted
reader (`weights_only=True`), and only after this module has found nothing in it but a bare tensor: the restricted
reader alone would decompress an archive of any size, allocate a `bytearray` of any length, and believe a storage that
claims to be longer than its bytes.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator

import torch

from bench.remote import failures

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
#: Members of an archive, and bytes of its pickle: a bare tensor has about six, and 150.
_MOST_MEMBERS, _MOST_PICKLE_BYTES = 16, 16 * 1024
#: The storages by the names that pickles give them, and the bytes of a value.
_STORAGES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
_TENSOR = {"torch._utils _rebuild_tensor_v2", "collections OrderedDict"}
_INTEGERS = {"BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "INT"}
#: Opcodes that call or import something else than GLOBAL and REDUCE do.
_FORBIDDEN = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4", "PERSID"}


def check(content: bytes) -> None:
    """Raises RequestError unless this is a file of `torch.save` with one bare tensor and nothing else."""
    if not content.startswith(_ZIP):
        raise _refused(_what_else(content))
    try:
        pickle, storage_bytes = _parts(content)
        names = list(_names(pickle, storage_bytes))
    except zipfile.BadZipFile:
        raise _refused("a damaged archive") from None
    except (ValueError, KeyError, IndexError, EOFError, OSError, RuntimeError, NotImplementedError):
        raise _refused("an archive without a readable tensor") from None
    if "torch._utils _rebuild_tensor_v2" not in names:
        raise _refused("a file of torch.save without a tensor")


def load(content: bytes) -> object:
    """Return what a file holds that `check` has accepted: a tensor, or a list or dictionary of one."""
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def _parts(content: bytes) -> tuple[bytes, int]:
    """Return the archive's pickle, and the bytes of its only storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(names) > _MOST_MEMBERS or len(set(names)) < len(names):
            raise _refused("an archive with too many members")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise _refused("a compressed archive, which torch.save never writes")
        if sum(member.file_size for member in members) > len(content):
            raise _refused("an archive that claims more bytes than it has")
        (pickle,) = (member for member in members if member.filename.endswith("/data.pkl"))
        (storage,) = (member for member in members if member.filename.rpartition("/")[0].endswith("/data"))
        if pickle.file_size > _MOST_PICKLE_BYTES:
            raise _refused("a file of torch.save with more than a tensor")
        return archive.read(pickle), storage.file_size


def _names(pickle: bytes, storage_bytes: int) -> Iterator[str]:
    """Yield what the pickle imports. Raises RequestError for anything that a bare tensor does not need.

    The last number before a storage is its count of values, which older versions of torch believe. Sizes and strides
    need no check here: torch compares them with the storage.
    """
    number, item_bytes = 0, 8
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in _FORBIDDEN:
            raise _refused("a pickle with more than a tensor, which was not run")
        if opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            if module == "torch" and name in _STORAGES:
                item_bytes = _STORAGES[name]
            elif argument not in _TENSOR:
                raise _refused(f"a pickle that imports {str(argument)[:60]!r}, which was not run")
            yield str(argument)
        elif opcode.name in _INTEGERS:
            number = int(str(argument))
        elif opcode.name == "BINPERSID" and not 0 <= number <= storage_bytes // item_bytes:
            raise _refused("a tensor that claims more values than it has")


def _what_else(content: bytes) -> str:
    """Return in words what an answer is that is not an archive."""
    begin = content[:512].lstrip()
    if begin.startswith(b"<"):
        return "a page of HTML"
    if begin.startswith((b"{", b"[")):
        return "JSON"
    if begin.startswith(_PICKLE):
        return "a bare pickle, which is never loaded"
    return "empty" if not content else "no file of torch.save"


def _refused(what: str) -> failures.RequestError:
    return failures.failed("NotATensor", f"The answer is {what}, not a tensor of `torch.save`. Check the address.")
