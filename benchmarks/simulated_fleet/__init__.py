"""A driver with many nodes on paper: what was measured of it, and the simulation that uses it."""
