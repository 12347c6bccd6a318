"""Compares open pull requests for conflicts and orders their merges."""
