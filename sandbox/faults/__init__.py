"""Faults that tests plan, or that happen at random."""
