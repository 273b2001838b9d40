"""Whether the figures of a record can be true of its card."""
