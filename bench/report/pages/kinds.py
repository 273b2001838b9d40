"""Words that several pages use for predictions and kinds of figures."""

from __future__ import annotations

#: How sure a predicted verdict is, as it stands after it.
SURE = {"high": "", "medium": "?", "low": "??"}
TIGHT = "runs with low-workspace kernels, which may be slower."
#: What stands in for the memory of cards whose figure nobody published.
MEMORY_ASSUMED = "the size they are sold with. Nobody has published what torch reports, which is up to 9% less"
