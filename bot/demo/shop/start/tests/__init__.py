"""Tests of the shop: `python -m unittest`."""
