"""Makes text from outside harmless before agents or people read it."""
