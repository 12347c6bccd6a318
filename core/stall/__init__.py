"""Stalls: tasks that make no progress, and the steps that follow."""
