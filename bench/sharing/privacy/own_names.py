"""The names, addresses, folders and serial numbers of this machine and of who uses it."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil

from bench.record import json_schema
from bench.workloads import models

HOME, FOLDER, USER, HOST = "<home>", "<folder>", "<user>", "<host>"
ADDRESS, MAC, SERIAL, SECRET = "<address>", "<mac>", "<serial>", "<secret>"
#: Names that many machines have. They are replaced where they are whole words, not inside of other words.
_GENERIC = {
    *("root", "user", "users", "admin", "administrator", "ubuntu", "debian", "fedora", "centos", "ec2-user"),
    *("azureuser", "localhost", "localdomain", "runner", "jovyan", "vagrant", "docker", "nobody", "guest"),
    *("default", "worker", "home", "workspace"),
}
#: Environment variables that name a user or a host.
_USERS = ("USER", "LOGNAME", "LNAME", "USERNAME", "SUDO_USER", "SLURM_JOB_USER", "JUPYTERHUB_USER", "GIT_AUTHOR_NAME")
_HOSTS = ("HOSTNAME", "COMPUTERNAME", "USERDOMAIN", "HOST", "NODE_NAME", "SLURMD_NODENAME", "RUNPOD_POD_ID")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|_AUTH\b", re.IGNORECASE)
_CLIENTS = ("SSH_CLIENT", "SSH_CONNECTION")
_ID_FILES = (
    *("/etc/machine-id", "/var/lib/dbus/machine-id"),
    *(f"/sys/class/dmi/id/{name}" for name in ("product_uuid", "product_serial", "board_serial", "chassis_serial")),
)
_SMI_S = 10.0

Where = Literal["anywhere", "as a word", "in paths"]


@dataclass(frozen=True, slots=True)
class OwnName:
    """A text that must not leave this machine, the marker that replaces it, and where in a text it counts.

    `as a word`: not between letters or digits; for short and common names. `in paths`: only as a whole folder
    or file, or beside `@`; for names that are also words of any results.
    """

    text: str
    marker: str
    where: Where = "anywhere"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The ways in which files spell it: plain, in JSON, in JSON inside of JSON, in Python's repr, in a URL."""
        escaped = json.dumps(self.text)[1:-1]
        return tuple(
            dict.fromkeys((self.text, escaped, json.dumps(escaped)[1:-1], repr(self.text)[1:-1], quote(self.text)))
        )

    @property
    def ignores_case(self) -> bool:
        """Whether it counts in any case: not if it is short."""
        return len(self.text) >= 4


def names_of_this_machine(
    ordinary: Collection[str] = (), environ: Mapping[str, str] | None = None
) -> tuple[OwnName, ...]:
    """All names of this machine and user that can be found, the longest first.

    `ordinary` are words of any results, in lower case (`ordinary_words`). What the system does not tell is left out.
    """
    variables = os.environ if environ is None else environ
    names: dict[str, OwnName] = {}
    for text, marker in (*_folders(variables), *_people(variables), *_machine(variables), *_numbers(variables)):
        clean = text.strip()
        if len(clean) > 1 and clean not in names:
            names[clean] = OwnName(clean, marker, _where(clean, marker, ordinary))
    return tuple(sorted(names.values(), key=lambda name: (-len(name.text), name.text)))


@cache
def _schema_words() -> frozenset[str]:
    texts = [json.dumps(json_schema()), *models.zoo(), *models.aliases()]
    return words_in(*texts)


def ordinary_words(*texts: str) -> frozenset[str]:
    """The words of any results: of the record's schema, of the zoo's names, and of these texts; in lower case.

    Of the texts, which name devices, also words that follow each other: `rtx4090`, `nvidia-h100`.
    """
    joined = set()
    for words in (re.findall(r"[a-z0-9]+", text.lower()) for text in texts):
        spans = [words[begin:end] for begin in range(len(words)) for end in range(begin + 1, len(words) + 1)]
        joined |= {separator.join(span) for span in spans for separator in ("", "-", "_")}
    return _schema_words() | joined


def words_in(*texts: str) -> frozenset[str]:
    """The words of texts in lower case, also those that are joined by `-`, `_` or `.`, and their parts."""
    words = [re.findall(rf"[a-z0-9]+{more}", text.lower()) for text in texts for more in ("", r"(?:[-_.][a-z0-9]+)*")]
    return frozenset(chain.from_iterable(words))


def _where(text: str, marker: str, ordinary: Collection[str]) -> Where:
    if marker in {HOME, FOLDER, SECRET}:
        return "anywhere"
    if text.lower() in ordinary:
        return "in paths"
    is_hexadecimal = re.fullmatch(r"[0-9a-f]+", text, re.IGNORECASE) is not None
    if len(text) < 5 or text.lower() in _GENERIC or is_hexadecimal or marker == ADDRESS:
        return "as a word"
    return "anywhere"


def _folders(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    homes = [environ.get("HOME", ""), environ.get("USERPROFILE", ""), _account()[2]]
    with suppress(RuntimeError):
        homes.append(str(Path.home()))
    for home in filter(None, homes):
        yield from ((form, HOME) for form in _forms(home))
    with suppress(OSError):
        yield from ((form, FOLDER) for form in _forms(str(Path.cwd())))


def _forms(folder: str) -> list[str]:
    """A folder as paths name it: as it is, resolved, and with the other slashes; none for the root of a disk."""
    plain = folder.rstrip("/\\")
    forms = {plain, os.path.realpath(plain)} if len(plain) > 3 else set()
    return [form for text in forms for form in (text, text.replace("\\", "/")) if len(form) > 3]


def _people(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    login, full_name, home = _account()
    with suppress(OSError, KeyError, ImportError):
        yield getpass.getuser(), USER
    yield login, USER
    yield full_name if " " in full_name else "", USER
    yield Path(home).name, USER
    yield Path(environ.get("HOME", "")).name, USER
    yield from ((environ.get(name, ""), USER) for name in _USERS)


def _account() -> tuple[str, str, str]:
    """Login, full name and home of this process's user; empty where the system has none."""
    try:
        import pwd  # noqa: PLC0415 - POSIX only

        entry = pwd.getpwuid(os.getuid())
    except (ImportError, KeyError):
        return "", "", ""
    return entry.pw_name, entry.pw_gecos.split(",")[0], entry.pw_dir


def _machine(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    names = [platform.node(), _first_line("/etc/hostname"), *(environ.get(name, "") for name in _HOSTS)]
    for name in names:
        yield name, HOST
        first, _, domain = name.partition(".")
        yield first, HOST
        yield domain if "." in domain else "", HOST
    with suppress(OSError, psutil.Error):
        for entries in psutil.net_if_addrs().values():
            for entry in entries:
                yield from _address(entry.address)
    for name in _CLIENTS:
        for word in environ.get(name, "").split():
            yield from _address(word)


def _address(text: str) -> Iterator[tuple[str, str]]:
    """An address of a network card or of the network, unless it is one that every machine has."""
    plain = text.partition("%")[0]
    if re.fullmatch(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5,7}", plain, re.IGNORECASE):
        digits = re.sub(r"[:-]", "", plain).lower()
        if set(digits) not in ({"0"}, {"f"}):
            pairs = [digits[place : place + 2] for place in range(0, len(digits), 2)]
            yield from ((separator.join(pairs), MAC) for separator in (":", "-"))
        return
    with suppress(ValueError):
        address = ip_address(plain)
        if not (address.is_loopback or address.is_unspecified):
            yield str(address), ADDRESS


def _numbers(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in _ID_FILES:
        line = _first_line(path)
        yield line if len(line) > 5 and re.search(r"\d", line) else "", SERIAL
    yield from ((word, SERIAL) for word in _card_numbers())
    for name, value in environ.items():
        if _SECRET.search(name) and len(value) > 7:
            yield value, SECRET


@cache
def _card_numbers() -> tuple[str, ...]:
    """UUIDs and serial numbers of the NVIDIA cards; none if the driver's program is missing or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            [program, "--query-gpu=uuid,serial", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SMI_S,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    words = re.split(r"[,\s]+", answer.stdout) if answer.returncode == 0 else []
    return tuple(word for word in words if len(word) > 5 and re.search(r"\d", word))


def _first_line(path: str) -> str:
    try:
        return next(iter(Path(path).read_text(errors="replace").splitlines()), "").strip()
    except OSError:
        return ""
