"""What a customer is about to buy."""

from dataclasses import dataclass, field
from decimal import Decimal

from shop.catalogue import Product


@dataclass
class Cart:
    """Products and how many of each."""

    lines: dict[Product, int] = field(default_factory=dict)

    def add(self, product: Product, quantity: int = 1) -> None:
        """Put something in; raises ValueError for less than one."""
        if quantity < 1:
            raise ValueError("a quantity is at least 1")
        self.lines[product] = self.lines.get(product, 0) + quantity

    @property
    def total(self) -> Decimal:
        """The net price of everything, in euros."""
        return sum((product.price * quantity for product, quantity in self.lines.items()), Decimal(0))
