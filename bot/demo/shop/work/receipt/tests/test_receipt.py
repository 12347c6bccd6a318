"""The receipt shows how the sum came about."""

import unittest
from datetime import date

from shop.cart import Cart
from shop.catalogue import TEA
from shop.checkout import check_out
from shop.receipt import WIDTH, receipt
from shop.vouchers import Voucher

TODAY = date(2026, 5, 1)


class ReceiptTest(unittest.TestCase):
    """With and without a voucher."""

    def setUp(self) -> None:
        """A cart with two packets of tea."""
        self.cart = Cart()
        self.cart.add(TEA, 2)

    def test_the_voucher_has_a_line_of_its_own(self) -> None:
        """Code and amount."""
        text = receipt(check_out(self.cart, TODAY, Voucher("MAY", 10, TODAY)))
        self.assertRegex(text, r"Voucher MAY +-0\.90\nTo pay +8\.10$")

    def test_without_a_voucher_there_is_no_such_line(self) -> None:
        """Nothing is said of what is not there."""
        self.assertNotIn("Voucher", receipt(check_out(self.cart, TODAY)))

    def test_it_is_as_wide_as_the_paper(self) -> None:
        """No line is longer than the paper is wide."""
        text = receipt(check_out(self.cart, TODAY, Voucher("MAY", 10, TODAY)))
        self.assertTrue(all(len(line) <= WIDTH for line in text.splitlines()))
