"""What the customer gets to read."""

from shop.checkout import Order

WIDTH = 32


def _line(left: str, right: object) -> str:
    return f"{left:<{WIDTH - 10}}{right!s:>10}"


def receipt(order: Order) -> str:
    """The order as lines of text, the voucher on a line of its own."""
    lines = [_line(f"{quantity} x {product.name}", product.price * quantity) for product, quantity in order.lines]
    lines.append("-" * WIDTH)
    if order.voucher:
        lines.append(_line(f"Voucher {order.voucher}", -order.discount))
    lines.append(_line("To pay", order.total))
    return "\n".join(lines)
