"""How long a call takes on a card that nobody measured: from what it computes, the card's rates, other cards' times.

Pure: work, rates and times in, seconds and errors out. Imports `config`, `workloads`, `record`, `work`; never torch,
and nothing that measures. Who counts the work (`workloads.image_vae.work`, which loads torch) hands it in.
"""
