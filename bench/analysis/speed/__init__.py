"""Predict how long a call takes on a card that nobody measured: by its work, the card's rates and other cards' times.

Pure: work, rates and times in, seconds and errors out. Imports `config`, `workloads`, `record`, `work`; never torch,
and nothing that measures. The caller counts the work (`workloads.image_vae.work`, which loads torch) and passes it in.
"""
