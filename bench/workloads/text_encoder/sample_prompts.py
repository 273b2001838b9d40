"""The prompts with which endpoints are measured: plain words, the same on every machine."""

from __future__ import annotations

from itertools import cycle, islice

#: Common words, each of which is one token in most vocabularies.
_TEXT = (
    "a photo of an old house by the sea at night with a red boat in front and two small birds on its roof under "
    "a clear sky full of stars soft light from one window falls on the water and a man walks along the beach"
)
#: Words for each token: fewer than tokens, so that no tokenizer makes more of them than there is room for.
_WORDS_FOR_A_TOKEN = 0.75


def sample_prompts(count: int, tokens: int) -> tuple[str, ...]:
    """Different prompts that about fill so many tokens. Each begins at another word."""
    words, length = _TEXT.split(), max(1, int(tokens * _WORDS_FOR_A_TOKEN))
    return tuple(" ".join(islice(cycle(words), start, start + length)) for start in range(count))
