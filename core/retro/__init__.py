"""Retrospectives: what the audit trail says of the tasks that were done, and what follows from it."""
