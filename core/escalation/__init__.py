"""Escalation: who is notified, when, and by which channel."""
