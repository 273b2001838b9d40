"""What is measured: builds the model, its input and the call. Knows `models` and `record`, not `measure` or `run`."""
