"""How much of everything is left."""

from collections.abc import Mapping


class SoldOut(ValueError):
    """There is less left than somebody wanted."""


class Stock:
    """Counts by SKU; what is not listed is not there."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """Begin with these counts."""
        self._counts = dict(counts)

    def left(self, sku: str) -> int:
        """How many there are."""
        return self._counts.get(sku, 0)

    def take(self, sku: str, quantity: int) -> None:
        """Take some out. Raises SoldOut, and takes none, when there are fewer."""
        if quantity > self.left(sku):
            raise SoldOut(f"{sku}: {quantity} wanted, {self.left(sku)} left")
        self._counts[sku] = self.left(sku) - quantity
