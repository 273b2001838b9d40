"""Predicted memory, and the estimates of other programs, compared with published peaks."""
