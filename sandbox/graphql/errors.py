"""Write errors as GitHub's GraphQL API does: its texts, codes and types in place of graphql-core's."""

from __future__ import annotations

import re
from typing import Any

from graphql import GraphQLError, VariableDefinitionNode, print_ast

from sandbox.errors import ApiError
from sandbox.graphql.context import FieldError

Json = dict[str, Any]

# What graphql-core writes, what GitHub writes, GitHub's code.
_REQUEST_ERRORS = [
    (re.compile(pattern, re.DOTALL), text, code)
    for pattern, text, code in (
        (r"Syntax Error: (.*)\.", r"Parse error: \1", None),
        (r"Cannot query field '(\w+)' on type '(\w+)'\.", r"Field '\1' doesn't exist on type '\2'", "undefinedField"),
        (
            r"Field '(\w+)' of type '\[?(\w+).*' must have a selection of subfields\..*",
            r"Field must have selections (field '\1' returns \2 but has no selections. Did you mean '\1 { ... }'?)",
            "selectionMismatch",
        ),
        (
            r"Field '(\w+)' must not have a selection since type '(\w+).*' has no subfields\.",
            r"Selections can't be made on scalars (field '\1' returns \2 but has selections)",
            "selectionMismatch",
        ),
        (
            r"Unknown argument '(\w+)' on field '\w+\.(\w+)'\.",
            r"Field '\2' doesn't accept argument '\1'",
            "argumentNotAccepted",
        ),
        (
            r"Argument '\w+\.(\w+)\((\w+):\)' of type '.*' is required, but it was not provided\.",
            r"Field '\1' is missing required arguments: \2",
            "missingRequiredArguments",
        ),
        (
            r"Expected value of type '(\w+).*' to include required field '(\w+)', found: .*",
            r"Argument '\2' on InputObject '\1' is required.",
            "missingRequiredInputObjectAttribute",
        ),
        (
            r"Expected value of type '(\w+).*' not to include unknown field '(\w+)', found: .*",
            r"InputObject '\1' doesn't accept argument '\2'",
            "argumentNotAccepted",
        ),
        (r"Variable '(\$\w+)' is not defined.*", r"Variable \1 is used but not declared", "variableNotDefined"),
        (r"Variable '(\$\w+)' is never used.*", r"Variable \1 is declared but not used", "variableNotUsed"),
        (r"Unknown fragment '(\w+)'\.", r"Fragment \1 was used, but not defined", "useAndDefineFragment"),
        (r"Fragment '(\w+)' is never used\.", r"Fragment \1 was defined, but not used", "useAndDefineFragment"),
        (
            r"Unknown type '(\w+)'\.",
            r"No such type \1, so it can't be a fragment condition or the type of a variable",
            "undefinedType",
        ),
        (r"Unknown directive '@(\w+)'\.", r"Directive @\1 is not defined", "undefinedDirective"),
        (
            r"Variable '(\$\w+)' of type '(.*)' used in position expecting type '(.*)'\.",
            r"Type mismatch on variable \1 (\2 / \3)",
            "variableMismatch",
        ),
    )
]
_VARIABLE_ERROR = re.compile(r"Variable '\$(\w+)' has invalid value(?: at (\S+))?: (.*)", re.DOTALL)
_INPUT_ERRORS = [
    (re.compile(pattern, re.DOTALL), field, text)
    for pattern, field, text in (
        (r"Expected .* type '\w+' to include required field '(\w+)'.*", r"\1", "Expected value to not be null"),
        (
            r"Expected value of type '(\w+)' not to include unknown field '(\w+)'.*",
            r"\2",
            r"Field is not defined on \1",
        ),
        (r"Expected (?:a )?value of non-null type .*", "", "Expected value to not be null"),
    )
]


def request_error(error: GraphQLError | FieldError) -> Json:
    """Write why a whole request was refused: GitHub then gives no data."""
    if isinstance(error, FieldError):
        return ({"type": error.kind} if error.kind else {}) | {"message": str(error)}
    if match := _VARIABLE_ERROR.fullmatch(error.message):
        return _variable_error(error, match) | _locations(error)
    for pattern, text, code in _REQUEST_ERRORS:
        if match := pattern.fullmatch(error.message):
            return (
                {"message": match.expand(text)} | ({"extensions": {"code": code}} if code else {}) | _locations(error)
            )
    return {"message": error.message} | _locations(error)


def field_error(error: GraphQLError) -> Json:
    """Write why one field is null. Raises the error of a resolver that is a fault of the sandbox."""
    cause = error.original_error
    if isinstance(cause, ApiError):
        kind, message = "UNPROCESSABLE", str(cause.body["message"])
    elif isinstance(cause, FieldError):
        kind, message = cause.kind or "", str(cause)
    elif cause is None and error.message.startswith("Argument "):  # null by a variable, where null is not allowed
        kind, message = "", error.message
    else:
        raise cause or error
    return ({"type": kind} if kind else {}) | {"path": error.path} | _locations(error) | {"message": message}


def _variable_error(error: GraphQLError, match: re.Match[str]) -> Json:
    name, place, explanation = match.groups()
    path = [part for part in re.split(r"[.\[\]]+", place or "") if part]
    for pattern, field, text in _INPUT_ERRORS:
        if problem := pattern.fullmatch(explanation):
            path += [part for part in (problem.expand(field),) if part]
            explanation = problem.expand(text)
            break
    definition = next(node for node in error.nodes or () if isinstance(node, VariableDefinitionNode))
    where = f" for {'.'.join(path)}" if path else ""
    return {
        "message": f"Variable ${name} of type {print_ast(definition.type)} was provided invalid value{where}"
        f" ({explanation})",
        "extensions": {"problems": [{"path": path, "explanation": explanation}]},
    }


def _locations(error: GraphQLError) -> Json:
    return {"locations": [location.formatted for location in error.locations]} if error.locations else {}
