"""VAT is charged to the cent."""

import unittest
from decimal import Decimal

from shop.tax import with_vat


class VatTest(unittest.TestCase):
    """Gross prices."""

    def test_vat_is_added(self) -> None:
        """19 % of 12 euros are 2.28."""
        self.assertEqual(with_vat(Decimal("12.00"), Decimal("0.19")), Decimal("14.28"))

    def test_half_a_cent_goes_up(self) -> None:
        """2.625 is charged as 2.63."""
        self.assertEqual(with_vat(Decimal("2.50"), Decimal("0.05")), Decimal("2.63"))

    def test_a_negative_rate_is_refused(self) -> None:
        """Nobody is paid for paying taxes."""
        with self.assertRaises(ValueError):
            with_vat(Decimal("1.00"), Decimal("-0.19"))
