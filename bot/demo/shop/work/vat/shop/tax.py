"""Value added tax."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def with_vat(net: Decimal, rate: Decimal) -> Decimal:
    """The gross price for a net price, to the cent; a `rate` of 0.19 is 19 %.

    Half a cent goes up, as the tax office wants it; `round` would take it to the even cent.
    Raises ValueError for a negative rate.
    """
    if rate < 0:
        raise ValueError("a VAT rate is never negative")
    return (net * (1 + rate)).quantize(CENT, ROUND_HALF_UP)
