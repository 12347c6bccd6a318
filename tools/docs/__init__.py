"""Generators of the documentation: `python -m tools.docs --write`."""
