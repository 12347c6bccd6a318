"""GitHub's ids."""

import base64
from dataclasses import dataclass
from typing import ClassVar


def node_id(prefix: str, number: int) -> str:
    """A GraphQL id: a prefix for the kind, then an opaque text."""
    encoded = base64.urlsafe_b64encode(b"\x92\x00" + number.to_bytes(6, "big")).decode().rstrip("=")
    return f"{prefix}_{encoded}"


@dataclass(eq=False, kw_only=True)
class Node:
    """An object with a number and a GraphQL id."""

    node_prefix: ClassVar[str] = ""
    id: int

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id(self.node_prefix, self.id)
