"""Runs everything that the clock starts: one file per job."""
