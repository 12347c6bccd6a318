"""Bare repositories: objects, refs, merges, smart HTTP."""
