"""The Python interface: `load`, `predict` and `advise`, which the package `bench` offers under these names.

Each returns a pandas DataFrame. What a command prints as a warning is a Python warning here. Nothing is printed or
written, and torch is loaded only for the trace of a model that has none yet.
"""
