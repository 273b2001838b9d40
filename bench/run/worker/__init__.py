"""The process that measures: `python -m bench.run.worker PARENT_PID`. Nothing imports it."""
