"""The device that runs are measured on: its selection, clock, memory meter, watch, limit and facts.

`base` defines the interface, `cuda` and `cpu` implement it, `choose` selects one. Knows nothing about models.
"""
