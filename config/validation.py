"""Checks a document against its model and tells each mistake with its line and the nearest valid word."""

import json
import re
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.agent_kinds import AGENT_KINDS
from config.problems import ConfigError, Problem, nearest, quote
from config.yaml_reader import Data, Document, KeyPath, SourcePosition, dotted, read_yaml

Model = TypeVar("Model", bound=BaseModel)

# What pydantic's type errors mean to somebody who writes YAML.
_EXPECTED: Final = {
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
_BOUNDS: Final = {
    "greater_than_equal": ("must be at least {:g}", "ge"),
    "less_than_equal": ("must be at most {:g}", "le"),
    "too_short": ("must not be empty", "min_length"),
    "too_long": ("must have at most {} entries", "max_length"),
}


def parse_model(model: type[Model], text: str, path: str) -> Model:
    """The YAML `text` as a `model`; `path` is the file's name for the messages.

    Raises ConfigError, and nothing else, with every problem that the file has.
    """
    document = read_yaml(text, path)
    try:
        # By way of JSON, pydantic is strict about types and still takes a list for a tuple.
        return model.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        found = error.errors(include_url=False)
        # Pydantic counts wrong entries as absent; a list of only wrong ones is not an empty list.
        told = [item for item in found if not (item["type"] == "too_short" and item["input"])]
        problems = [_explain(item, document, model) for item in told]
        raise ConfigError(path, problems) from None


def _explain(error: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    """One of pydantic's errors as a problem with a place in the file."""
    kind, context = error["type"], error.get("ctx", {})
    loc, tag = _in_the_file(error["loc"])
    place, message, suggestion = document.value_place(loc), "", ""
    match kind:
        case "extra_forbidden":
            place, message = document.key_place(loc), f"unknown key {quote(loc[-1])}"
            valid = _valid_keys(model, loc[:-1], tag)
            suggestion = _nearest(str(loc[-1]), valid) or _listed("valid keys are", valid)
        case "missing":
            place, message = document.key_place(loc[:-1]), f"the key {quote(loc[-1])} is missing"
            suggestion = "add `version: 1`" if loc == ("version",) else ""
        case "union_tag_not_found":
            place, message = document.key_place(loc), "the key `adapter` is missing"
            suggestion = _listed("add one of", list(AGENT_KINDS))
        case "union_tag_invalid":
            loc = (*loc, "adapter")
            place, message, suggestion = _not_one_of(list(AGENT_KINDS), loc, document)
        case "literal_error":
            place, message, suggestion = _not_one_of(_words(context["expected"]), loc, document)
        case "mistake":
            message, suggestion = str(context["message"]), str(context["suggestion"])
            if error["loc"] and error["loc"][-1] == "[key]":
                place = document.key_place(loc)
            elif context["key"]:
                loc = (*loc, str(context["key"]))
                place = document.key_place(loc)
        case _ if kind in _BOUNDS:
            template, name = _BOUNDS[kind]
            message = template.format(context[name])
        case _:
            message = _EXPECTED.get(kind, error["msg"])
    return Problem(place.line, place.column, dotted(loc), message, suggestion or None)


def _in_the_file(loc: tuple[int | str, ...]) -> tuple[KeyPath, str]:
    """Pydantic's path without what is not in the file: the kind of agent, and the mark of a key."""
    tag = ""
    if len(loc) > 2 and loc[0] == "agents" and loc[2] in AGENT_KINDS:
        tag, loc = str(loc[2]), loc[:2] + loc[3:]
    return (loc[:-1] if loc and loc[-1] == "[key]" else loc), tag


def _valid_keys(model: type[BaseModel], parent: KeyPath, tag: str) -> list[str]:
    found: Any = AGENT_KINDS[tag] if tag else model
    for part in () if tag else parent:
        annotation = found.model_fields[str(part)].annotation
        # An optional section is a union of its model and None.
        found = next((one for one in get_args(annotation) if hasattr(one, "model_fields")), annotation)
    return sorted(found.model_fields)


def _not_one_of(words: list[str], loc: KeyPath, document: Document) -> tuple[SourcePosition, str, str]:
    value = _at(document.data, loc)
    got = f", not {quote(value)}" if isinstance(value, str | int | float) else ""
    message = f"must be {words[0]}{got}" if len(words) == 1 else f"must be one of {', '.join(words)}{got}"
    return document.value_place(loc), message, _nearest(str(value), words)


def _at(data: Data, loc: KeyPath) -> Data:
    for part in loc:
        if isinstance(data, dict) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return data


def _words(expected: object) -> list[str]:
    """`"'merge', 'squash' or 'rebase'"` → the three words."""
    return re.findall(r"[\w-]+", re.sub(r"\bor\b", "", str(expected)))


def _nearest(word: str, valid: list[str]) -> str:
    near = nearest(word, valid, cutoff=0.6)
    return f"did you mean `{near}`?" if near else ""


def _listed(intro: str, words: list[str]) -> str:
    return f"{intro} {', '.join(f'`{word}`' for word in words)}"
