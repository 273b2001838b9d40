"""Running a plan: the scheduler and the executor in the parent, which never loads torch, and the worker it starts."""
