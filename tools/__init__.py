"""Tools for developers of the project; the product does not import them."""
