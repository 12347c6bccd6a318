"""Count what a query costs, as GitHub counts it: by the most that its connections may hold.

Source: GitHub's documentation, "Rate limits and query limits for the GraphQL API".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

from sandbox.graphql.context import FieldError

MAX_NODES = 500_000
MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Cost:
    """The points of a query, and the nodes it may give."""

    points: int
    nodes: int


def measure(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Cost:
    """Give the cost: the requests for all connections by hundreds, at least 1.

    Raises FieldError for a connection without a valid page, and if the query may give too many nodes.
    """
    root = schema.get_root_type(operation.operation)
    requests, nodes = _Counter(schema, document, dict(variables)).count(root, operation.selection_set)
    if nodes > MAX_NODES:
        message = (
            f"This query requests up to {nodes:,} possible nodes which exceeds the maximum limit of {MAX_NODES:,}."
        )
        raise FieldError("MAX_NODE_LIMIT_EXCEEDED", message)
    return Cost(max(1, round((requests + 1) / 100)), nodes)


class _Counter:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: dict[str, Any]) -> None:
        self._schema, self._variables = schema, variables
        self._fragments = {
            part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
        }
        self._counts: dict[str, tuple[int, int]] = {}  # of each fragment

    def count(self, parent: GraphQLNamedType | None, selections: SelectionSetNode) -> tuple[int, int]:
        """Give the requests and the nodes of the selections of one object."""
        counts = [self._count(parent, selection) for selection in selections.selections]
        return sum(requests for requests, _ in counts), sum(nodes for _, nodes in counts)

    def _count(self, parent: GraphQLNamedType | None, selection: SelectionNode) -> tuple[int, int]:
        if isinstance(selection, FragmentSpreadNode):
            return self._fragment(selection.name.value)
        if isinstance(selection, InlineFragmentNode):
            condition = selection.type_condition
            item = parent if condition is None else self._schema.get_type(condition.name.value)
            return self.count(item, selection.selection_set)
        if not isinstance(selection, FieldNode) or selection.selection_set is None:
            return 0, 0
        item = self._type_of(parent, selection)
        if item is None or not item.name.endswith("Connection"):
            return self.count(item, selection.selection_set)
        size = self._page_size(selection)
        requests, nodes = self.count(item, selection.selection_set)
        return 1 + size * requests, size + size * nodes

    def _fragment(self, name: str) -> tuple[int, int]:
        if name not in self._counts:
            fragment = self._fragments[name]
            item = self._schema.get_type(fragment.type_condition.name.value)
            self._counts[name] = self.count(item, fragment.selection_set)
        return self._counts[name]

    def _type_of(self, parent: GraphQLNamedType | None, selection: FieldNode) -> GraphQLNamedType | None:
        if not is_composite_type(parent):
            return None
        field = self._schema.get_field(parent, selection.name.value)
        return None if field is None else get_named_type(field.type)

    def _page_size(self, selection: FieldNode) -> int:
        values = {
            argument.name.value: value_from_ast_untyped(argument.value, self._variables)
            for argument in selection.arguments or ()
        }
        sizes = {name: values[name] for name in ("first", "last") if isinstance(values.get(name), int)}
        name = selection.name.value
        if len(sizes) != 1:
            message = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            raise FieldError("MISSING_PAGINATION_BOUNDARIES", message)
        ((argument_name, size),) = sizes.items()
        if not 1 <= size <= MAX_PAGE:
            message = (
                f"Requesting {size} records on the `{name}` connection exceeds the `{argument_name}` limit of"
                f" {MAX_PAGE} records."
            )
            raise FieldError("EXCESSIVE_PAGINATION", message)
        return int(size)
