"""Connects to outside systems: GitHub, git, the database, agents, alert channels."""
