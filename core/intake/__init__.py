"""From the text of an issue to a task that is ready."""
