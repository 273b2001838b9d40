"""What is predicted for GPUs that are not here: memory, advice, profiles. Commands call it; it may load torch."""
