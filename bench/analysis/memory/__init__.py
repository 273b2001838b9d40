"""Predicted memory held against published peaks, beside the estimates of other programs."""
