"""Cards by what people call them: `3070`, `rtx3080`, `A100-80GB`, `4090 laptop`.

A name is split into words (`RTX-3080Ti` is rtx, 3080, ti), and a card matches if it has every word of the request, in
any order. So `M3` does not match HBM3. A further word in the card's name either makes it a different card (Ti, SUPER,
Laptop) or describes the same one (its memory, its form).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench.errors import ConfigError, listed, printable

#: How far two reports of one card's memory may differ: by a few per cent between drivers, by up to 5% between Windows
#: and Linux (configs/gpus.yaml).
_ALIKE = 0.06
#: How far torch's total may be below what a card is sold with: ECC and the driver take a part
#: (9% of the Tesla T4 in configs/gpus.yaml).
_BELOW_NOMINAL = 0.10
#: The most cards and letters that an error shows.
_MOST_HINTS = 3
_MOST_SHOWN = 12
_MOST_KNOWN = 100
_MOST_LETTERS = 60

#: `12gb`, and `12` for a card that has 12 GB.
_MEMORY = re.compile(r"\d+gb|\d{1,3}")
_MEMORY_SUFFIX = re.compile(r" \d+GB")
_MEMORY_IN_TEXT = re.compile(r"(?<![a-z0-9])(\d{1,3})\s*g(?:i?b)?(?![a-z0-9])")
_FORM = re.compile(r"sxm\d?|pcie|nvl|hbm\d\w?")
_MODEL = re.compile(r"[a-z]*\d+")
_PREFIXED = re.compile(r"(rtx|gtx|gt|geforce|nvidia|tesla|quadro)([a-z]*\d.*)")
_SUFFIXED = re.compile(r"(\d{3,4})(ti)?(super|s|d|m)?")

_SAYS_NOTHING = {"nvidia", "geforce", "tesla", "quadro", "gpu", "graphics", "card", "generation", "edition"}
_SERIES = {"rtx", "gtx"}
#: Words that make a card a different one from the card without them.
_ANOTHER_CARD = {"ti", "super", "d", "laptop", "max"}
_SAME_AS = {"s": "super", "m": "laptop", "mobile": "laptop", "notebook": "laptop"}


def matching(asked: str, names: Mapping[str, int | None]) -> list[str]:
    """The cards that a name matches: [] for none, several if the name is ambiguous.

    `names` maps full names to the gigabytes that a card is sold with, None if unknown. A card without further words
    (makers' and series' names aside) wins over cards with more: `3080` is not the 3080 12GB. Memory or form alone
    (`80GB`, `SXM4`) matches no card.
    """
    folded = " ".join(asked.casefold().split())
    same = [name for name in names if name.casefold() == folded]
    wanted = _words(folded)
    wanted = wanted - _SAYS_NOTHING or wanted
    if same or not any(_is_a_name(word) for word in wanted):
        return same
    having = [name for name in names if _has(name, names[name], wanted)]
    exact = [name for name in having if not _words(name) - wanted - _SERIES - _SAYS_NOTHING]
    return exact or [name for name in having if not (_words(name) - wanted) & _ANOTHER_CARD]


def near(asked: str, names: Iterable[str]) -> list[str]:
    """A few cards with the same number that the name does not match, the most similar first."""
    wanted = _words(asked)
    models = _models(wanted)
    alike = [name for name in names if models & _models(_words(name))]
    return sorted(alike, key=lambda name: (-len(wanted & _words(name)), len(_words(name) - wanted)))[:_MOST_HINTS]


def one_of(asked: str, names: Mapping[str, int | None], option: str, no_such: str, otherwise: str = "") -> str:
    """The one card that a name matches. Raises ConfigError if none or several do.

    `option` is the user's option (`--gpu`), `no_such` the message if there is none, `otherwise` the remedy.
    """
    matches = matching(asked, names)
    if len(matches) == 1:
        return matches[0]
    start = f"{option} {printable(asked, _MOST_LETTERS)}"
    if matches:
        raise ConfigError(f"{start}: several cards match: {listed(matches, _MOST_SHOWN)}. Write the full name of one.")
    alike = near(asked, names)
    hint = f"Did you mean {' or '.join(repr(printable(name)) for name in alike)}?" if alike else _known(names)
    raise ConfigError(" ".join(part for part in (f"{start}: {no_such}", hint, otherwise) if part))


def is_card(device: str, device_bytes: int | None, card: str, card_bytes: int | None, nominal: bool = False) -> bool:
    """Whether a device with this name (torch's) and memory is that card.

    If torch reports cards of different memory by one name, their names in gpus.yaml end with the memory. A device of
    unknown memory is only the card with exactly its name. `nominal`: `card_bytes` is the memory it is sold with.
    """
    if device != card and not _MEMORY_SUFFIX.fullmatch(card.removeprefix(device)):
        return False
    if device_bytes is None or card_bytes is None:
        return device == card
    if nominal:
        return 1 - _BELOW_NOMINAL <= device_bytes / card_bytes <= 1
    return abs(device_bytes / card_bytes - 1) <= _ALIKE


def are_same(first: str, second: str) -> bool:
    """Whether two names have the same words, makers' names aside: `RTX 3090` and `NVIDIA GeForce RTX 3090`."""
    words = _words(first) - _SAYS_NOTHING
    same = bool(words) and words == _words(second) - _SAYS_NOTHING
    return first == second or (same and first.isascii() and second.isascii())  # words in other letters are not read


def short(name: str) -> str:
    """`RTX 4090` of `NVIDIA GeForce RTX 4090`: without its maker and its series, by which `--gpu` finds it too."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _words(text: str) -> set[str]:
    """The words of a name: `{rtx, 3080, ti, 12gb}` of `NVIDIA GeForce RTX 3080Ti 12 GB`."""
    spaced = _MEMORY_IN_TEXT.sub(r" \1gb ", text.casefold())
    return {word for token in re.findall(r"[a-z0-9]+", spaced) for word in _split(token)}


def _split(token: str) -> list[str]:
    prefixed = _PREFIXED.fullmatch(token)
    if prefixed:
        return [prefixed[1], *_split(prefixed[2])]
    suffixed = _SUFFIXED.fullmatch(token)
    parts = [part for part in suffixed.groups() if part] if suffixed else [token]
    return [_SAME_AS.get(part, part) for part in parts]


def _has(name: str, sold_gb: int | None, wanted: set[str]) -> bool:
    words = _words(name) | ({f"{sold_gb}gb"} if sold_gb else set())
    return all(word in words or (word.isdecimal() and f"{word}gb" in words) for word in wanted)


def _is_a_name(word: str) -> bool:
    return not _MEMORY.fullmatch(word) and not _FORM.fullmatch(word)


def _models(words: Iterable[str]) -> set[str]:
    """The numbers in words, which related cards share: `{3080}` of 3080, `{l40}` of l40s."""
    matches = (_MODEL.match(word) for word in words if _is_a_name(word))
    return {match[0] for match in matches if match}


def _known(names: Iterable[str]) -> str:
    known = sorted(map(short, names))
    return f"Known: {listed(known, _MOST_KNOWN)}." if known else "There are no cards to choose from."
