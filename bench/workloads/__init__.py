"""What can be measured: one folder for each kind of model. `base` defines a workload, `models` lists every model."""
