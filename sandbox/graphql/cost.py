"""What a query costs, as GitHub counts it: by what its lists may hold at most, whatever they do hold.

Source: GitHub's documentation, "Rate limits and query limits for the GraphQL API".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sandbox.graphql.parser import Document, Field, GraphQLError

MAX_NODES = 500_000


def cost(document: Document, fields: Sequence[Field], fill: Callable[[Any], Any]) -> int:
    """The points of a query: the requests for all its lists by hundreds, at least 1. `fill` gives variables' values.

    Raises GraphQLError where it may hold more nodes than GitHub takes.
    """
    requests, nodes = _count(document, fields, fill, 1)
    if nodes > MAX_NODES:
        raise GraphQLError(
            f"This query requests up to {nodes} possible nodes which exceeds the maximum limit of {MAX_NODES}.",
            kind="MAX_NODE_LIMIT_EXCEEDED",
        )
    return max(1, round((requests + 1) / 100))


def _count(document: Document, fields: Sequence[Field], fill: Callable[[Any], Any], times: int) -> tuple[int, int]:
    requests = nodes = 0
    for one in fields:
        below, each = one.fields, times
        if one.spread is not None:
            fragment = document.fragments.get(one.spread)
            below = fragment.fields if fragment else ()
        elif one.on is None:
            size = fill(one.arguments.get("first", one.arguments.get("last")))
            if isinstance(size, int):
                requests, nodes, each = requests + times, nodes + times * size, times * size
        more = _count(document, below, fill, each)
        requests, nodes = requests + more[0], nodes + more[1]
    return requests, nodes
