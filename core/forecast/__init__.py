"""The forecast of a task: which files it will probably change, from its text and from what similar work changed."""
