"""Words that several pages use for predictions and kinds of figures."""

from __future__ import annotations

#: How sure a predicted verdict is, as it stands after it.
SURE = {"high": "", "medium": "?", "low": "??"}
TIGHT = "it runs, with leaner and perhaps slower kernels than it would like."
#: What stands in for a card's memory where nobody published it; the verb that follows the cards' names.
MEMORY_ASSUMED = "is sold with. Nobody published what torch reports of it, which is up to 9% less"


def marked(text: str, kind: str) -> str:
    """`15 ms *published*`."""
    return f"{text} *{kind}*"
