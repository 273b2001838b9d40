"""Shapes of what identifies people and machines, whichever these are: tokens, addresses, UUIDs, paths, variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from bench.run import surroundings
from bench.sharing.privacy.own_names import ADDRESS, FOLDER, HOME, HOST, MAC, SECRET, SERIAL

TOKEN, UUID, EMAIL, PATH, VALUE = "<token>", "<uuid>", "<email>", "<path>", "<value>"
#: Hosts that anyone may name: where packages and models come from, and this machine to itself.
_PUBLIC = (
    *("huggingface.co", "hf.co", "github.com", "pypi.org", "pythonhosted.org", "pytorch.org", "python.org"),
    *("nvidia.com", "localhost", "127.0.0.1", "0.0.0.0", "[::1]"),  # noqa: S104 - a name, not bound
)
#: The first folders of paths that say nothing about a user.
_SYSTEM = {"usr", "lib", "lib64", "bin", "sbin", "dev", "proc", "sys", "etc"}
Replace = Callable[["re.Match[str]"], str]


def _whole(marker: str) -> Replace:
    return lambda _: marker


def _after_name(marker: str) -> Replace:
    """Keep the first group, the name of what is replaced."""
    return lambda match: f"{match[1]}{marker}"


def _assigned(match: re.Match[str]) -> str:
    """A secret in `name=secret`; a number of a few digits is none (`max_tokens=77`)."""
    return match[0] if re.fullmatch(r"\d{1,7}|None|null|true|false", match[2]) else f"{match[1]}{SECRET}"


def _url(match: re.Match[str]) -> str:
    """A URL without user, password, query and fragment; without its host and path if the host is not a public one."""
    try:
        parts = urlsplit(match[0])
        host = (parts.hostname or "").lower()
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{match[0].partition('://')[0]}://{HOST}"
    shown = f"[{host}]" if ":" in host else host
    if not any(shown == public or shown.endswith(f".{public}") for public in _PUBLIC):
        return f"{parts.scheme}://{HOST}"
    return f"{parts.scheme}://{shown}{port}{parts.path}"


def _ipv4(match: re.Match[str]) -> str:
    if any(int(part) > 255 for part in match[0].split(".")):
        return match[0]
    address = ip_address(".".join(str(int(part)) for part in match[0].split(".")))
    return match[0] if address.is_loopback or address.is_unspecified else ADDRESS


def _ipv6(match: re.Match[str]) -> str:
    try:
        address = ip_address(match[0])
    except ValueError:
        return match[0]
    return match[0] if address.is_loopback or address.is_unspecified else ADDRESS


def _path(match: re.Match[str]) -> str:
    """The last part of a path, or what follows `site-packages`; paths of the system as they are."""
    parts = re.split(r"[\\/]+", match[0])
    if parts[0] == "" and parts[1] in _SYSTEM:
        return match[0]
    kept = next((place for place, part in enumerate(parts) if part in {"site-packages", "dist-packages"}), None)
    start = parts[0] if parts[0] in {HOME, FOLDER} else PATH
    return "/".join([start, *(parts[kept:] if kept is not None else parts[-1:])])


def _variable(match: re.Match[str]) -> str:
    """A line of a list of variables; those that change figures keep their values, as records do."""
    known = surroundings.variables({match[2]: match[3]})
    return f"{match[1]}{match[2]}={known.get(match[2], VALUE)}"


#: Each shape and what replaces it, in this order: a URL before the address in it. They come before the names, which may
#: be in the middle of one.
SHAPES: tuple[tuple[re.Pattern[str], Replace], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), _whole(SECRET)),
    (
        re.compile(
            r"\b(?:hf_[A-Za-z0-9]{8,}|api_org_[A-Za-z0-9]{8,}|gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
            r"|sk-[\w-]{16,}|xox[abprs]-[\w-]{8,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"
            r"|nvapi-[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
        _whole(TOKEN),
    ),
    (
        re.compile(r"((?:authorization|proxy-authorization|cookie)[\"']?\s*[:=]\s*)(?=[^\s<])[^\r\n]+", re.I),
        _after_name(SECRET),
    ),
    (re.compile(r"(\bbearer\s+)[\w.~+/=-]{8,}", re.I), _after_name(TOKEN)),
    (
        re.compile(
            r"(?<![\w-])([\w-]{0,60}(?:token|secret|password|passwd|api[_-]?key|access[_-]?key|credentials?)[\"']?\s*[=:]\s*[\"']?)"
            r"([^\s\"',;<>(){}\[\]]{3,})",
            re.I,
        ),
        _assigned,
    ),
    (re.compile(r"\benviron\(\{.{0,50000}?\}\)", re.S), _whole(f"environ({VALUE})")),
    (re.compile(r"^((?:export |declare -x |set )?)([A-Z][A-Z0-9_]{2,})=([^\r\n<][^\r\n]*)$", re.M), _variable),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>\\]+", re.I), _url),
    (
        re.compile(
            r"\b(?:MIG-GPU|GPU|MIG)-[0-9a-f][0-9a-f-]{7,35}(?![0-9a-z-])(?:/\d+/\d+)?"
            r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            re.I,
        ),
        _whole(UUID),
    ),
    (re.compile(r"(serial(?:[ _-]?(?:number|no\.?))?[\"']?\s*[:=]\s*[\"']?)[\w-]*\d[\w-]*", re.I), _after_name(SERIAL)),
    (re.compile(r"(?<![\w:-])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![\w:-])", re.I), _whole(MAC)),
    (re.compile(r"(?<![\w:.])[0-9a-f:]{6,39}(?![\w:])", re.I), _ipv6),
    # not a version: `==1.2.3.4`, `-1.2.3.4`, `v1.2.3.4`, `version 1.2.3.4`
    (re.compile(r"(?<![\w.=+-])(?<!ersion )(?<!ersion: )\d{1,3}(?:\.\d{1,3}){3}(?![\w.+-])"), _ipv4),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,}\b", re.I), _whole(EMAIL)),
)
#: A folder or a file in a path, of which markers may be a part.
_PART = r"(?:<\w+>|[^\s\\/\"'<>|:;,()\[\]{}])+"
_SPACED = r"(?:<\w+>|[^\\/\"'<>|\n])+"
#: Paths, in which names have been replaced already. In quotes a path may have spaces.
PATHS: tuple[tuple[re.Pattern[str], Replace], ...] = (
    (re.compile(rf"(?:\b[A-Za-z]:|(?<![\\/]))[\\/]{{1,16}}(?:home|Users)[\\/]{{1,16}}{_PART}", re.I), _whole(HOME)),
    (re.compile(rf"(?<=[\"'])(?:<home>|<folder>|/{_PART})(?:[\\/]+{_SPACED})+(?=[\"'])"), _path),
    (re.compile(rf"(?:<home>|<folder>)(?:[\\/]+{_PART})+"), _path),
    (re.compile(rf"(?<![\w/.>\\-])/(?=[^/\s]){_PART}(?:/+{_PART})+"), _path),
    (re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]:(?:[\\/]+{_PART})+"), _path),
)
