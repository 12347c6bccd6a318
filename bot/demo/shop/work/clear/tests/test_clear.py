"""One can begin again."""

import unittest
from decimal import Decimal

from shop.cart import Cart
from shop.catalogue import MUG


class ClearTest(unittest.TestCase):
    """Throwing everything out."""

    def test_nothing_is_left(self) -> None:
        """And nothing is to be paid."""
        cart = Cart()
        cart.add(MUG, 3)
        cart.clear()
        self.assertEqual(cart.total, Decimal(0))
