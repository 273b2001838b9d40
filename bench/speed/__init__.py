"""How long a call takes on a card that nobody measured: by what it computes, by the card's rates, by other cards' times.

Pure: work, rates and times in, seconds and errors out. Imports `config`, `models`, `record`, `work`; never torch, and
nothing that measures. Who counts the work (`workloads.work`, which loads torch) hands it in.
"""
