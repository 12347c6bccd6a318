"""Applies signals in a transaction and carries out what the rules decide."""
