"""Whoever changes their mind pays for the rest alone."""

import unittest
from decimal import Decimal

from shop.cart import Cart
from shop.catalogue import MUG, TEA


class RemoveTest(unittest.TestCase):
    """Taking something out again."""

    def test_the_rest_stays(self) -> None:
        """Tea without the mug."""
        cart = Cart()
        cart.add(TEA)
        cart.add(MUG, 3)
        cart.remove(MUG)
        self.assertEqual(cart.total, Decimal("4.50"))

    def test_what_is_not_there_cannot_be_taken_out(self) -> None:
        """That would be a mistake of ours."""
        with self.assertRaises(KeyError):
            Cart().remove(TEA)
