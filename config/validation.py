"""Validates a document against its model and reports each problem with its line and the nearest valid word."""

import json
import re
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.agent_kinds import AGENT_KINDS
from config.problems import ConfigError, Problem, nearest_word, quote
from config.yaml_reader import Data, Document, KeyPath, SourcePosition, format_key_path, read_yaml

Model = TypeVar("Model", bound=BaseModel)

# What pydantic's type errors mean to the author of a YAML file.
_TYPE_MESSAGES: Final = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list, such as [one, two]",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
}
_BOUND_MESSAGES: Final = {
    "greater_than_equal": ("must be at least {:g}", "ge"),
    "less_than_equal": ("must be at most {:g}", "le"),
    "too_short": ("must not be empty", "min_length"),
    "too_long": ("must have at most {} entries", "max_length"),
}


def read_file(path: Path) -> str:
    """The text of one of the service's own files. Raises ConfigError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(str(path), [Problem(1, 1, "", f"the file cannot be read: {reason}")]) from None


def parse_model(model: type[Model], text: str, path: str) -> Model:
    """The YAML `text` as a `model`; `path` is the file's name for the messages.

    Raises ConfigError, and nothing else, with every problem of the file.
    """
    document = read_yaml(text, path)
    try:
        # Via JSON, pydantic is strict about types and still accepts a list for a tuple.
        return model.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # Pydantic treats wrong entries as absent; a list of only wrong entries is not an empty list.
        relevant_errors = [
            error_details
            for error_details in errors
            if not (error_details["type"] == "too_short" and error_details["input"])
        ]
        problems = [_to_problem(error_details, document, model) for error_details in relevant_errors]
        raise ConfigError(path, problems) from None


def _to_problem(error: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    """One of pydantic's errors as a problem with a place in the file."""
    error_type, context = error["type"], error.get("ctx", {})
    key_path, tag = _to_key_path(error["loc"])
    position, message, suggestion = document.value_position(key_path), "", ""
    match error_type:
        case "extra_forbidden":
            position, message = document.key_position(key_path), f"unknown key {quote(key_path[-1])}"
            valid = _valid_keys(model, key_path[:-1], tag)
            suggestion = _did_you_mean(str(key_path[-1]), valid) or _list_choices("valid keys are", valid)
        case "missing":
            position, message = document.key_position(key_path[:-1]), f"the key {quote(key_path[-1])} is missing"
            suggestion = "add `version: 1`" if key_path == ("version",) else ""
        case "union_tag_not_found":
            position, message = document.key_position(key_path), "the key `adapter` is missing"
            suggestion = _list_choices("add one of", list(AGENT_KINDS))
        case "union_tag_invalid":
            key_path = (*key_path, "adapter")
            position, message, suggestion = _invalid_choice(list(AGENT_KINDS), key_path, document)
        case "literal_error":
            position, message, suggestion = _invalid_choice(_literal_values(context["expected"]), key_path, document)
        case "mistake":
            message, suggestion = str(context["message"]), str(context["suggestion"])
            if error["loc"] and error["loc"][-1] == "[key]":
                position = document.key_position(key_path)
            elif context["key"]:
                key_path = (*key_path, str(context["key"]))
                position = document.key_position(key_path)
        case _ if error_type in _BOUND_MESSAGES:
            template, name = _BOUND_MESSAGES[error_type]
            message = template.format(context[name])
        case _:
            message = _TYPE_MESSAGES.get(error_type, error["msg"])
    return Problem(position.line, position.column, format_key_path(key_path), message, suggestion or None)


def _to_key_path(loc: tuple[int | str, ...]) -> tuple[KeyPath, str]:
    """Pydantic's path without parts that are not in the file: the kind of agent, and the mark of a key."""
    tag = ""
    if len(loc) > 2 and loc[0] == "agents" and loc[2] in AGENT_KINDS:
        tag, loc = str(loc[2]), loc[:2] + loc[3:]
    return (loc[:-1] if loc and loc[-1] == "[key]" else loc), tag


def _valid_keys(model: type[BaseModel], parent: KeyPath, tag: str) -> list[str]:
    section: Any = AGENT_KINDS[tag] if tag else model
    for part in () if tag else parent:
        annotation = section.model_fields[str(part)].annotation
        # An optional section is a union of its model and None.
        section = next((member for member in get_args(annotation) if hasattr(member, "model_fields")), annotation)
    return sorted(section.model_fields)


def _invalid_choice(choices: list[str], key_path: KeyPath, document: Document) -> tuple[SourcePosition, str, str]:
    value = _value_at(document.data, key_path)
    actual = f", not {quote(value)}" if isinstance(value, str | int | float) else ""
    message = f"must be {choices[0]}{actual}" if len(choices) == 1 else f"must be one of {', '.join(choices)}{actual}"
    return document.value_position(key_path), message, _did_you_mean(str(value), choices)


def _value_at(data: Data, key_path: KeyPath) -> Data:
    for part in key_path:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return data


def _literal_values(expected: object) -> list[str]:
    """`"'merge', 'squash' or 'rebase'"` → the three words."""
    return re.findall(r"[\w-]+", re.sub(r"\bor\b", "", str(expected)))


def _did_you_mean(word: str, valid: list[str]) -> str:
    suggestion = nearest_word(word, valid, cutoff=0.6)
    return f"did you mean `{suggestion}`?" if suggestion else ""


def _list_choices(intro: str, choices: list[str]) -> str:
    return f"{intro} {', '.join(f'`{word}`' for word in choices)}"
