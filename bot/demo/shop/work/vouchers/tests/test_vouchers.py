"""Vouchers take something off, while they last."""

import unittest
from datetime import date
from decimal import Decimal

from shop.vouchers import Expired, Voucher

SPRING = Voucher("SPRING", 10, date(2026, 5, 31))


class VoucherTest(unittest.TestCase):
    """Discounts and their last day."""

    def test_a_voucher_takes_its_per_cent_off(self) -> None:
        """10 % of 21 euros."""
        self.assertEqual(SPRING.discount(Decimal("21.00"), date(2026, 5, 1)), Decimal("2.10"))

    def test_it_counts_on_its_last_day(self) -> None:
        """The last day belongs to it."""
        self.assertEqual(SPRING.discount(Decimal("10.00"), date(2026, 5, 31)), Decimal("1.00"))

    def test_an_expired_voucher_is_refused(self) -> None:
        """The day after it is worth nothing."""
        with self.assertRaises(Expired):
            SPRING.discount(Decimal("10.00"), date(2026, 6, 1))

    def test_a_voucher_cannot_take_more_than_everything(self) -> None:
        """100 % is the most."""
        with self.assertRaises(ValueError):
            Voucher("TOO-MUCH", 101, date(2026, 5, 31))
