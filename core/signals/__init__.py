"""Signals: what happened, as the rules receive it."""
