"""Serialize the state as GitHub's JSON."""
