"""Holds the lowest layer: settings, a repository's configuration, labels, defaults."""
