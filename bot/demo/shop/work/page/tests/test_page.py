"""The price list can be read by people, screen readers and browsers."""

import unittest
from decimal import Decimal

from shop.catalogue import CATALOGUE, Product
from shop.page import price_list


class PageTest(unittest.TestCase):
    """The table of products."""

    def test_every_product_is_on_it(self) -> None:
        """Name and price of each."""
        page = price_list(CATALOGUE)
        for product in CATALOGUE:
            self.assertIn(product.name, page)
            self.assertIn(f"{product.price} €", page)

    def test_products_are_sorted_by_name(self) -> None:
        """Whatever order they come in."""
        page = price_list(reversed(CATALOGUE))
        self.assertLess(page.index("Green tea"), page.index("Mug"))

    def test_a_name_cannot_break_the_page(self) -> None:
        """What looks like HTML is shown as text."""
        page = price_list([Product("X", "<script>", Decimal(1))])
        self.assertIn("&lt;script&gt;", page)
        self.assertNotIn("<script>", page)
