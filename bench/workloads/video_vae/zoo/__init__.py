"""Video VAEs as data, one small file per model.

To add a model, add a module that defines `MODEL` (or `MODELS`) to this folder; nothing else needs an edit. The hub's
config.json could not be read: each file says where its arguments come from.
"""

from bench.workloads.vae_classes.zoo import Zoo

ZOO = Zoo(__name__, __path__)
