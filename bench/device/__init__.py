"""The device that is measured on: how it is chosen and held, its clock, memory meter, watch, limit and facts.

`base` says what a device is; `cuda` and `cpu` are the kinds; `choose` tells which one is meant. Knows no model.
"""
