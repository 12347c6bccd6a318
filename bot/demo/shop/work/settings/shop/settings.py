"""Settings, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True)
class Settings:
    """How the shop is run; `vat_rate` of 0.19 is 19 %."""

    currency: str = "EUR"
    vat_rate: Decimal = Decimal("0.19")


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from SHOP_CURRENCY and SHOP_VAT_RATE, each with its default. Raises ValueError naming the variable."""
    currency = environment.get("SHOP_CURRENCY", "EUR")
    if len(currency) != 3 or not currency.isalpha():
        raise ValueError("SHOP_CURRENCY must be a code of three letters, such as EUR")
    try:
        rate = Decimal(environment.get("SHOP_VAT_RATE", "0.19"))
    except InvalidOperation:
        raise ValueError("SHOP_VAT_RATE must be a number, such as 0.19") from None
    return Settings(currency.upper(), rate)
