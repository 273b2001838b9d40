"""Local or remote: what is known of each case, set side by side.

Pure: records, networks and file formats in, rows out. Imports `config`, `workloads`, `network`, `record`; never torch,
and nothing that measures. Simulated times are `network`'s, added to what was measured or published.
"""
