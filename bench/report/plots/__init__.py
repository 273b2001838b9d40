"""Plots for the pages, drawn with matplotlib into files."""
