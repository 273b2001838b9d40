"""Rank the ways to compute an image on a card: untiled, in tiles, in a lower precision, sliced, or remote.

Pure: records, predictions and a fitted model of times in, a ranking with reasons out. Imports `errors`, `units`,
`record`, `workloads`, `config`, `speed`, `hybrid`, `work`; never torch. The caller predicts memory (`vram.verdict`,
which loads torch) and passes it in.
"""
