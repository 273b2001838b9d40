"""Sweeps on every card of a cluster, and an endpoint of several replicas, through Ray."""
