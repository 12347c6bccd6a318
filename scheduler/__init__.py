"""What the clock does to a task: one file per job."""
