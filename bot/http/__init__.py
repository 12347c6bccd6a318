"""The HTTP side of the bot: webhooks, health, metrics, heartbeats."""
