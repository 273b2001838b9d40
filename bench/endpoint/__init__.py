"""The endpoint that `bench serve` runs: VAEs, the one thread that drives the device, and the web around them."""
