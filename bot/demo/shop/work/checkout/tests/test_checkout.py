"""The checkout takes vouchers."""

import unittest
from datetime import date
from decimal import Decimal

from shop.cart import Cart
from shop.catalogue import MUG
from shop.checkout import check_out
from shop.vouchers import Expired, Voucher

TODAY = date(2026, 5, 1)


class CheckoutTest(unittest.TestCase):
    """Orders with and without a voucher."""

    def setUp(self) -> None:
        """A cart with two mugs."""
        self.cart = Cart()
        self.cart.add(MUG, 2)

    def test_without_a_voucher_the_full_price_is_paid(self) -> None:
        """Two mugs at 12 euros."""
        self.assertEqual(check_out(self.cart, TODAY).total, Decimal("24.00"))

    def test_a_voucher_is_taken_off(self) -> None:
        """25 % of 24 euros."""
        order = check_out(self.cart, TODAY, Voucher("MAY", 25, TODAY))
        self.assertEqual((order.discount, order.total), (Decimal("6.00"), Decimal("18.00")))

    def test_an_expired_voucher_is_told(self) -> None:
        """Instead of charging the full price unawares."""
        with self.assertRaises(Expired):
            check_out(self.cart, TODAY, Voucher("APRIL", 25, date(2026, 4, 30)))

    def test_an_empty_cart_is_no_order(self) -> None:
        """There is nothing to pay for."""
        with self.assertRaises(ValueError):
            check_out(Cart(), TODAY)
