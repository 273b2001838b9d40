"""Local or remote: what is known about each case, side by side.

Simulated times are `core.network`'s, added to measured or published ones.
"""
