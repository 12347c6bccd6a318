"""Judge GraphQL requests by the schema that GitHub publishes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_variable_values,
    parse,
    validate,
)

PUBLISHED = Path(__file__).parent / "data" / "github" / "graphql" / "schema.graphql"


@cache
def published_schema() -> GraphQLSchema:
    """Build GitHub's schema, once in a process; half a second, since it is taken as valid."""
    return build_schema(PUBLISHED.read_text(encoding="utf-8"), assume_valid=True, assume_valid_sdl=True)


def request_problems(query: str, variables: Mapping[str, Any]) -> list[str]:
    """Give what GitHub would refuse in a request before it executes it."""
    schema, document = published_schema(), parse(query)
    problems = [error.message for error in validate(schema, document)]
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode) and not problems:
            values = get_variable_values(schema, operation.variable_definitions or (), dict(variables))
            problems += [error.message for error in values] if isinstance(values, list) else []
    return problems
