"""Slash commands, checkboxes and buttons: what exists and who may use it."""
