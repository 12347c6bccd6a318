"""Forecasts which files a task will probably change, from its text and from similar work."""
