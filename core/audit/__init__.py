"""The audit log: events and their hash chain."""
