"""Settings come from the environment."""

import unittest
from decimal import Decimal

from shop.settings import Settings, load


class SettingsTest(unittest.TestCase):
    """Values, defaults and mistakes."""

    def test_everything_has_a_default(self) -> None:
        """An empty environment will do."""
        self.assertEqual(load({}), Settings("EUR", Decimal("0.19")))

    def test_the_environment_wins(self) -> None:
        """Both variables are read."""
        found = load({"SHOP_CURRENCY": "chf", "SHOP_VAT_RATE": "0.081"})
        self.assertEqual(found, Settings("CHF", Decimal("0.081")))

    def test_a_mistake_names_its_variable(self) -> None:
        """So that one knows what to mend."""
        with self.assertRaisesRegex(ValueError, "SHOP_VAT_RATE"):
            load({"SHOP_VAT_RATE": "a lot"})
