"""Image VAEs as data, one small file a model.

A module of this folder that defines `MODEL` (or `MODELS`) is part of the zoo: nothing else is to be edited.
"""
