"""Open pull requests that conflict, and the order in which they merge."""
