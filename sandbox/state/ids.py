"""Ids as GitHub gives them."""

import base64


def node_id(prefix: str, number: int) -> str:
    """A GraphQL id in GitHub's manner: a prefix for the kind, then an opaque word."""
    encoded = base64.urlsafe_b64encode(b"\x92\x00" + number.to_bytes(6, "big")).decode().rstrip("=")
    return f"{prefix}_{encoded}"
