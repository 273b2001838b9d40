"""What can be measured, a folder a kind of model. `base` says what a workload is, `models` knows all that there are."""
