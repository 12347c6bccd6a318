"""The price list as a web page."""

from collections.abc import Iterable
from html import escape

from shop.catalogue import Product


def price_list(products: Iterable[Product]) -> str:
    """An HTML page with a table of all products, sorted by name; names are escaped."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(product.name)}</th><td>{product.price} €</td></tr>'
        for product in sorted(products, key=lambda product: product.name)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<title>Our prices</title>\n<table>\n<caption>Our prices</caption>\n'
        f"{rows}\n</table>\n</html>\n"
    )
