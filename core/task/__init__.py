"""The task: its state, lifecycle, labels, dependencies and deadlines."""
