"""Nothing is sold that is not there."""

import unittest

from shop.stock import SoldOut, Stock


class StockTest(unittest.TestCase):
    """Taking things out."""

    def test_what_is_taken_is_gone(self) -> None:
        """Three less two is one."""
        stock = Stock({"T1": 3})
        stock.take("T1", 2)
        self.assertEqual(stock.left("T1"), 1)

    def test_more_than_there_is_cannot_be_taken(self) -> None:
        """And then all of it stays."""
        stock = Stock({"T1": 3})
        with self.assertRaises(SoldOut):
            stock.take("T1", 4)
        self.assertEqual(stock.left("T1"), 3)

    def test_what_is_not_listed_is_not_there(self) -> None:
        """An unknown SKU counts as sold out."""
        with self.assertRaises(SoldOut):
            Stock({}).take("M1", 1)
