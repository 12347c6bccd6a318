"""A teapot can be bought."""

import unittest
from decimal import Decimal

from shop.catalogue import CATALOGUE, TEAPOT


class TeapotTest(unittest.TestCase):
    """The new product."""

    def test_it_is_in_the_catalogue(self) -> None:
        """Once, and with its price."""
        self.assertEqual(CATALOGUE.count(TEAPOT), 1)
        self.assertEqual(TEAPOT.price, Decimal("29.00"))
