"""Assigns tasks to agents: queue, scores, agent state."""
