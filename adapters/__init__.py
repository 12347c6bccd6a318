"""The outside world: GitHub, git, the database, agents, and the outbox that writes to it."""
