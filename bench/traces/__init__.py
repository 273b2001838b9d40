"""Traces: what a call allocates and computes, in order, independent of a device."""
