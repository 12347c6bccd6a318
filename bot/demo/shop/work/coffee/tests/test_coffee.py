"""Coffee can be bought."""

import unittest
from decimal import Decimal

from shop.catalogue import CATALOGUE, COFFEE


class CoffeeTest(unittest.TestCase):
    """The new product."""

    def test_it_is_in_the_catalogue(self) -> None:
        """Once, and with its price."""
        self.assertEqual(CATALOGUE.count(COFFEE), 1)
        self.assertEqual(COFFEE.price, Decimal("7.20"))
