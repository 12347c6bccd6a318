"""The state as the JSON that GitHub sends."""
