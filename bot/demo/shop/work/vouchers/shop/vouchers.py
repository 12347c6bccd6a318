"""Vouchers: a code that takes some per cent off, until a day."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal


class Expired(ValueError):
    """The voucher was valid until an earlier day."""


@dataclass(frozen=True)
class Voucher:
    """`percent` is 1 to 100; `valid_until` is the last day on which it counts."""

    code: str
    percent: int
    valid_until: date

    def __post_init__(self) -> None:
        """Refuse a voucher that would cost nothing or more than everything."""
        if not 1 <= self.percent <= 100:
            raise ValueError("a voucher takes 1 to 100 per cent off")

    def discount(self, amount: Decimal, today: date) -> Decimal:
        """What it takes off `amount`, to the cent. Raises Expired."""
        if today > self.valid_until:
            raise Expired(f"voucher {self.code} was valid until {self.valid_until}")
        return (amount * self.percent / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
