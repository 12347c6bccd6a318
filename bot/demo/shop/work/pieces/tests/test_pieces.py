"""Pieces are counted."""

import unittest

from shop.cart import Cart
from shop.catalogue import MUG, TEA


class PiecesTest(unittest.TestCase):
    """All of them, of whatever kind."""

    def test_pieces_of_all_kinds_are_counted(self) -> None:
        """Two packets and a mug are three."""
        cart = Cart()
        cart.add(TEA, 2)
        cart.add(MUG)
        self.assertEqual(cart.pieces, 3)

    def test_there_are_none_at_first(self) -> None:
        """Nothing is nothing."""
        self.assertEqual(Cart().pieces, 0)
