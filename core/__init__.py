"""Holds the rules: pure functions without I/O, clock or randomness. Every decision is made here."""
