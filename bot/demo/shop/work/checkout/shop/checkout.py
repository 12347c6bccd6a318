"""From a cart to an order."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shop.cart import Cart
from shop.catalogue import Product
from shop.vouchers import Voucher


@dataclass(frozen=True)
class Order:
    """What was bought, and what is to be paid for it."""

    lines: tuple[tuple[Product, int], ...]
    subtotal: Decimal
    discount: Decimal = Decimal("0.00")
    voucher: str | None = None

    @property
    def total(self) -> Decimal:
        """What is left to pay, in euros."""
        return self.subtotal - self.discount


def check_out(cart: Cart, today: date, voucher: Voucher | None = None) -> Order:
    """Order what is in the cart. Raises ValueError for an empty cart and for an expired voucher."""
    if not cart.lines:
        raise ValueError("the cart is empty")
    discount = voucher.discount(cart.total, today) if voucher else Decimal("0.00")
    return Order(tuple(cart.lines.items()), cart.total, discount, voucher.code if voucher else None)
