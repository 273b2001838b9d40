"""Whole pipelines, from a text or an image to an image or a video."""
