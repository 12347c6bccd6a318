"""Value added tax."""

from decimal import Decimal


def with_vat(net: Decimal, rate: Decimal) -> Decimal:
    """The gross price for a net price, to the cent; a `rate` of 0.19 is 19 %.

    Raises ValueError for a negative rate.
    """
    if rate < 0:
        raise ValueError("a VAT rate is never negative")
    return round(net * (1 + rate), 2)
