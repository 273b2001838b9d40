"""Predictions for GPUs that are not here: memory, advice, profiles."""
