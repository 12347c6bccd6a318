"""People and agents that act in the sandbox."""
