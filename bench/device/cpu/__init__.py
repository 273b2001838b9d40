"""Measuring on a CPU."""
