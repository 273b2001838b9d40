"""Local or remote: what is known about each case, side by side.

Pure: records, networks and file formats in, rows out. Never imports torch or anything that measures. Simulated times
are `core.network`'s, added to measured or published ones.
"""
