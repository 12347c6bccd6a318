"""Build the sandbox's schema from `schema.graphql`, with a resolver for each field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
)

from sandbox.clock import timestamp
from sandbox.graphql import commits, issues, mutations, repositories, timeline
from sandbox.graphql.context import Fields, Resolver
from sandbox.state.models import IssueEvent, User

_FIELDS: Mapping[str, Fields] = {
    **commits.FIELDS,
    **issues.FIELDS,
    **mutations.FIELDS,
    **repositories.FIELDS,
    **timeline.FIELDS,
    "PageInfo": {},
}
_TYPES: Mapping[type, str] = {**commits.TYPES, **issues.TYPES, **repositories.TYPES}
_SCALARS: Mapping[str, Callable[[Any], str]] = {"BigInt": str, "DateTime": timestamp}


@cache
def load_schema() -> GraphQLSchema:
    """Build the schema, once in a process."""
    schema = build_schema(resources.files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
    for name, item in schema.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(item, GraphQLObjectType):
            _resolve_fields(item)
        elif isinstance(item, GraphQLInputObjectType):
            for field_name, field in item.fields.items():
                field.out_name = _snake_case(field_name)
        elif isinstance(item, GraphQLEnumType):
            for value_name, value in item.values.items():
                value.value = timeline.ITEM_TYPES.get(value_name, value_name.lower())
        elif isinstance(item, GraphQLScalarType) and name in _SCALARS:
            item.coerce_output_value = _SCALARS[name]
    return schema


def type_of(value: Any, *_: Any) -> str:
    """Give the name of GitHub's type of an object that stands for an interface or a union."""
    if isinstance(value, User):
        return value.type
    if isinstance(value, IssueEvent):
        return timeline.type_of(value)
    return _TYPES[type(value)]


def _resolve_fields(item: GraphQLObjectType) -> None:
    """Attach the resolvers of a type; a field without its own is the attribute of the same name, in snake case.

    The fields of a payload stay with graphql-core, which takes them from a mapping.
    """
    if item.name.endswith(("Payload", "Edge")):
        return
    fields: Fields = {} if item.name.endswith("Connection") else _FIELDS[item.name]
    for name, field in item.fields.items():
        resolver = fields.get(name, _snake_case(name))
        field.resolve = _attribute(resolver) if isinstance(resolver, str) else resolver
        for argument_name, argument in field.args.items():
            argument.out_name = _snake_case(argument_name)


def _attribute(name: str) -> Resolver:
    return lambda value, _: getattr(value, name)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
