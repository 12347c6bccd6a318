"""Reads a GraphQL document: operations, fields with aliases and arguments, fragments, variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""[\s,\ufeff]+ | \#[^\n]* | (?P<spread>\.\.\.) | (?P<punctuation>[{}()\[\]:=!$@|&])
    | (?P<block>\"\"\".*?\"\"\") | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?) | (?P<name>[_A-Za-z]\w*)""",
    re.VERBOSE | re.DOTALL,
)
MAX_DEPTH = 30


class GraphQLError(Exception):
    """What is wrong with a query; answered in `errors`."""

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Variable:
    """A `$name` in the place of a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field that is asked for, or a fragment (`on` is set, or `spread` names it)."""

    name: str = ""
    alias: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    on: str | None = None
    spread: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A query or mutation; `variables` holds the default of each declared variable."""

    kind: str
    name: str | None
    variables: dict[str, Any]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document."""

    operations: tuple[Operation, ...]
    fragments: dict[str, Field]

    def operation(self, name: str | None) -> Operation:
        """The operation to run. Raises GraphQLError when the name does not decide."""
        found = [one for one in self.operations if name in (None, one.name)]
        if len(found) != 1:
            raise GraphQLError("An operation name is required" if name is None else f"No operation named {name!r}")
        return found[0]


def parse(source: str) -> Document:
    """Parse a document. Raises GraphQLError with the place where it cannot be read."""
    return _Parser(source).document()


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(source):
            match = _TOKEN.match(source, place)
            if match is None:
                raise GraphQLError(f"Parse error on {source[place]!r} at character {place}")
            if match.lastgroup is not None:
                self._tokens.append((match.lastgroup, match.group()))
            place = match.end()
        self._tokens.append(("end", ""))
        self._place = 0
        self._depth = 0

    def document(self) -> Document:
        operations, fragments = [], {}
        while not self._is("end"):
            if self._is("name", "fragment"):
                self._next()
                name = self._take("name")
                self._take("name", "on")
                on = self._take("name")
                fragments[name] = Field(on=on, fields=self._fields())
            else:
                operations.append(self._operation())
        if not operations:
            raise GraphQLError("A query attribute must be specified and must be a string.")
        return Document(tuple(operations), fragments)

    def _operation(self) -> Operation:
        if self._is("punctuation", "{"):
            return Operation("query", None, {}, self._fields())
        kind = self._take("name")
        if kind not in ("query", "mutation"):
            raise GraphQLError(f"Parse error on {kind!r}")
        name = self._take("name") if self._is("name") else None
        variables: dict[str, Any] = {}
        if self._accept("("):
            while not self._accept(")"):
                self._take("punctuation", "$")
                variable = self._take("name")
                self._take("punctuation", ":")
                self._type()
                variables[variable] = self._value() if self._accept("=") else None
        return Operation(kind, name, variables, self._fields())

    def _type(self) -> None:
        if self._accept("["):
            self._type()
            self._take("punctuation", "]")
        else:
            self._take("name")
        self._accept("!")

    def _fields(self) -> tuple[Field, ...]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise GraphQLError("The query is nested too deeply")
        self._take("punctuation", "{")
        found = []
        while not self._accept("}"):
            found.append(self._field())
        self._depth -= 1
        if not found:
            raise GraphQLError("A selection must not be empty")
        return tuple(found)

    def _field(self) -> Field:
        if self._is("spread"):
            self._next()
            if self._is("name", "on"):
                self._next()
                return Field(on=self._take("name"), fields=self._fields())
            return Field(spread=self._take("name"))
        name = alias = self._take("name")
        if self._accept(":"):
            name = self._take("name")
        arguments: dict[str, Any] = {}
        if self._accept("("):
            while not self._accept(")"):
                key = self._take("name")
                self._take("punctuation", ":")
                arguments[key] = self._value()
        if self._is("punctuation", "@"):
            raise GraphQLError("The sandbox does not know directives")
        fields = self._fields() if self._is("punctuation", "{") else ()
        return Field(name, alias, arguments, fields)

    def _value(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return json.loads(text)
        if kind == "block":
            return text[3:-3].strip()
        if kind == "number":
            return json.loads(text)
        if kind == "name":
            return {"true": True, "false": False, "null": None}.get(text, text)
        if text == "$":
            return Variable(self._take("name"))
        if text == "[":
            items = []
            while not self._accept("]"):
                items.append(self._value())
            return items
        if text == "{":
            made = {}
            while not self._accept("}"):
                key = self._take("name")
                self._take("punctuation", ":")
                made[key] = self._value()
            return made
        raise GraphQLError(f"Parse error on {text or 'the end of the query'!r}")

    def _is(self, kind: str, text: str | None = None) -> bool:
        found = self._tokens[self._place]
        return found[0] == kind and text in (None, found[1])

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._place]
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _accept(self, text: str) -> bool:
        if self._is("punctuation", text):
            self._place += 1
            return True
        return False

    def _take(self, kind: str, text: str | None = None) -> str:
        found = self._next()
        if found[0] != kind or text not in (None, found[1]):
            raise GraphQLError(f"Parse error on {found[1] or 'the end of the query'!r}, expecting {text or kind}")
        return found[1]
