"""One file a command: its options and wiring.

Each command imports its rooms inside its function, so that `--help` loads little.
"""
