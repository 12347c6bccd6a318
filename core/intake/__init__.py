"""Turns the text of an issue into a ready task."""
