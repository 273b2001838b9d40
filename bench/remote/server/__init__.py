"""The endpoint that `bench serve` runs: the VAEs behind it, the one thread that drives the device, and the web around."""
