"""Checks of this tool's figures on a device: predicted beside measured memory, and our clock beside other timers.

Each is a program of its own: `python -m bench.checks.NAME`. `bench contribute` runs them.
"""
