"""The fastest setting that fits: which settings there are, which to measure next, and the answer. Pure."""
