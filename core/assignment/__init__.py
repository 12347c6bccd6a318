"""Which agent gets which task: queue, scores, agent state."""
