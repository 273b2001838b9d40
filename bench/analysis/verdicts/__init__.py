"""Verdicts for each card, model and common size: what fits, how long it takes, whether to go remote. Values alone."""
