"""Comparisons, costs, predicted times and advice from records. Records in, values out."""
