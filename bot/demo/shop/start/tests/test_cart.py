"""The cart adds up."""

import unittest
from decimal import Decimal

from shop.cart import Cart
from shop.catalogue import MUG, TEA


class CartTest(unittest.TestCase):
    """Putting things in, and their price."""

    def test_an_empty_cart_costs_nothing(self) -> None:
        """No lines, no price."""
        self.assertEqual(Cart().total, Decimal(0))

    def test_prices_add_up(self) -> None:
        """Price times quantity, over all lines."""
        cart = Cart()
        cart.add(TEA, 2)
        cart.add(MUG)
        self.assertEqual(cart.total, Decimal("21.00"))

    def test_a_quantity_is_at_least_one(self) -> None:
        """Nobody buys nothing."""
        with self.assertRaises(ValueError):
            Cart().add(TEA, 0)
