"""What the shop sells."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Product:
    """Something to buy; `price` is net, in euros."""

    sku: str
    name: str
    price: Decimal


TEA = Product("T1", "Green tea", Decimal("4.50"))
MUG = Product("M1", "Mug", Decimal("12.00"))
CATALOGUE = (TEA, MUG)
