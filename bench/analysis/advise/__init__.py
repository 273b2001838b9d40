"""Rank the ways to compute an image on a card: untiled, in tiles, in a lower precision, sliced, or remote."""
