"""Measuring an endpoint over the network: single requests, load, and requests that overlap with generation."""
