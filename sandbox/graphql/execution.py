"""Answer one request to the GraphQL API: parse, validate, measure, execute."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    execute_sync,
    get_variable_values,
    parse,
    validate,
)

from sandbox.graphql import cost
from sandbox.graphql.context import Execution, FieldError
from sandbox.graphql.errors import Json, field_error, request_error
from sandbox.graphql.schema import load_schema, type_of
from sandbox.hub import Hub
from sandbox.state.credentials import Credential


class _InvalidRequest(Exception):
    def __init__(self, *errors: GraphQLError | FieldError) -> None:
        self.errors = errors


def execute(hub: Hub, credential: Credential, source: str, name: str | None, variables: Mapping[str, Any]) -> Json:
    """Answer a query or mutation: `data`, and `errors` of what could not be answered."""
    schema = load_schema()
    try:
        document = _parse(source)
        operation = _operation(document, name)
        values = get_variable_values(
            schema, operation.variable_definitions or (), dict(variables), hide_suggestions=True
        )
        if isinstance(values, list):
            raise _InvalidRequest(*values)
        total = cost.measure(schema, document, operation, values.coerced)
    except FieldError as error:
        return {"errors": [request_error(error)]}
    except _InvalidRequest as invalid:
        return {"errors": [request_error(error) for error in invalid.errors]}
    # One point was counted when the request came in.
    hub.usage_counter.bucket(credential.rate_limit_key, "graphql", hub.now()).used += total.points - 1
    result = execute_sync(
        schema,
        document,
        context_value=Execution(hub, credential, total.points, total.nodes),
        variable_values=dict(variables),
        operation_name=name,
        type_resolver=type_of,
    )
    return {"data": result.data} | (
        {"errors": [field_error(error) for error in result.errors]} if result.errors else {}
    )


@lru_cache(maxsize=256)
def _parse(source: str) -> DocumentNode:
    try:
        document = parse(source)
    except GraphQLError as error:
        raise _InvalidRequest(error) from error
    if errors := validate(load_schema(), document, hide_suggestions=True):
        raise _InvalidRequest(*errors)
    return document


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    selected = [part for part in operations if name is None or (part.name is not None and part.name.value == name)]
    if len(selected) != 1:
        message = "An operation name is required" if name is None else f'No operation named "{name}"'
        raise FieldError(None, message)
    return selected[0]
