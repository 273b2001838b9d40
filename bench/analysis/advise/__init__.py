"""Which way to take for an image on a card: untiled, in tiles, in a lower precision, sliced, or remote.

Pure: records, predictions and a fitted model of times in, a ranking with reasons out. Imports `errors`, `units`,
`record`, `workloads`, `config`, `speed`, `hybrid`, `work`; never torch. Who predicts memory (`vram.verdict`, which
loads torch) hands it in.
"""
