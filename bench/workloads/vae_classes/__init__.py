"""VAEs of diffusers, whichever workload they belong to: what differs between the classes, and what is the same."""
