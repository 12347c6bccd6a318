"""Check requests, responses and webhooks against GitHub's own description.

GitHub publishes its REST API as OpenAPI 3.0.3 and its webhooks as 3.1. Both are turned into JSON Schema
here: `nullable` becomes a separate type, references are resolved lazily, and every validator is compiled once.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from sandbox.http.merge_schema import merge

Schema = dict[str, Any]
_HTTP_METHODS = ("get", "post", "put", "patch", "delete")
_MAX_FINDINGS = 5  # differences of one message
_MAX_FINDING_LENGTH = 300  # characters of one difference


class Contract:
    """GitHub's description of its API (`rest-api.json`) and of its webhooks (`webhooks.json`)."""

    def __init__(self, rest: Mapping[str, Any], webhooks: Mapping[str, Any]) -> None:
        self._rest = _Document(rest)
        self._webhooks = _Document(webhooks)
        self._operations = [
            _Operation(self._rest, method, path, operation)
            for path, methods in rest["paths"].items()
            for method, operation in methods.items()
            if method in _HTTP_METHODS
        ]
        # A literal segment goes before a parameter, as in GitHub's router.
        self._operations.sort(key=lambda operation: operation.rank)
        self._events = frozenset(webhooks["webhooks"])
        self._matches: dict[tuple[str, str], _Operation | None] = {}

    @classmethod
    def load(cls, directory: Path) -> Contract:
        """Read `rest-api.json` and `webhooks.json`; a directory is read only once. Raises
        FileNotFoundError.
        """
        return _load(directory.resolve())

    @property
    def operations(self) -> dict[str, tuple[str, str]]:
        """Method and path of every operation, by GitHub's name for it."""
        return {operation.id: (operation.method.upper(), operation.path) for operation in self._operations}

    def check_request(self, method: str, path: str, query: Mapping[str, str], body: Any) -> list[str]:
        """The parts of a request that GitHub does not describe: path, query parameters, body. `path` is encoded."""
        if path == "/graphql":
            return []
        operation = self._find_operation(method, path)
        if operation is None:
            return [f"{method} {unquote(path)}: GitHub describes no such operation"]
        return [f"{operation.id}: {finding}" for finding in operation.check_request(path, query, body)]

    def check_response(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """The parts of a response that GitHub does not describe: its status or its body."""
        operation = None if path == "/graphql" else self._find_operation(method, path)
        if operation is None:
            return []
        return [f"{operation.id}: answer {status}: {finding}" for finding in operation.check_response(status, body)]

    def check_webhook(self, event: str, action: str | None, payload: Any) -> list[str]:
        """The parts of a payload that GitHub does not describe; events without a description have none."""
        name = event.replace("_", "-") + ("" if action is None else f"-{action.replace('_', '-')}")
        if event == "repository_dispatch":
            # The sender chooses its action; the description has one example.
            name = next((candidate for candidate in self._events if candidate.startswith("repository-dispatch")), name)
        if name not in self._events:
            return [f"webhook {event}.{action}: GitHub describes no such event"]
        reference = f"#/webhooks/{name}/post/requestBody/content/application~1json/schema"
        findings = self._webhooks.findings(reference, payload)
        return [f"webhook {event}.{action}: {finding}" for finding in findings]

    def _find_operation(self, method: str, path: str) -> _Operation | None:
        key = (method, path)
        if key not in self._matches:
            if len(self._matches) > 4096:
                self._matches.clear()
            self._matches[key] = next(
                (
                    operation
                    for operation in self._operations
                    if operation.method == method.lower() and operation.pattern.fullmatch(path)
                ),
                None,
            )
        return self._matches[key]


@functools.lru_cache(maxsize=4)
def _load(directory: Path) -> Contract:
    rest = json.loads((directory / "rest-api.json").read_text())
    documented_path = directory / "documented.json"
    if documented_path.exists():  # parameters of GitHub's documentation that the description lacks
        merge(rest, json.loads(documented_path.read_text()))
    _fix_description(rest)
    webhooks = json.loads((directory / "webhooks.json").read_text())
    return Contract(rest, webhooks)


def _fix_description(rest: Schema) -> None:
    """Correct the one place where GitHub's description contradicts every response of GitHub.

    The account of a listed installation would have to be a person and an enterprise at once (`allOf`); elsewhere the
    same description says `anyOf`.
    """
    responses = rest.get("paths", {}).get("/app/installations", {}).get("get", {}).get("responses", {})
    if "200" in responses:
        items = responses["200"]["content"]["application/json"]["schema"]["items"]
        account = items["properties"]["account"]
        if "allOf" in account:
            account["anyOf"] = account.pop("allOf")


class _Document:
    """One OpenAPI document with a cached validator for each schema that was used."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.source = document
        self._converted: dict[str, Schema] = {}
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def resolve(self, node: Any) -> Any:
        """The node that a `$ref` points to, or the node itself."""
        while isinstance(node, Mapping) and "$ref" in node:
            node = self.lookup(node["$ref"])
        return node

    def lookup(self, reference: str) -> Any:
        """The node at `#/a/b`."""
        node: Any = self.source
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def findings(self, reference: str, instance: Any, *, closed: bool = False) -> list[str]:
        """The places where an instance does not match the schema at a reference; `closed` forbids unknown keys."""
        key = f"{reference} closed" if closed else reference
        validator = self._validators.get(key)
        if validator is None:
            schema = convert(self.lookup(reference), closed=closed)
            schema["$defs"] = self._referenced_schemas(schema)
            validator = self._validators[key] = jsonschema_rs.Draft202012Validator(schema, validate_formats=False)
        if validator.is_valid(instance):
            return []
        findings = []
        for error in validator.iter_errors(instance):
            location = "/".join(str(part) for part in error.instance_path) or "(whole)"
            findings.append(f"{location}: {error.message[:_MAX_FINDING_LENGTH]}")
            if len(findings) == _MAX_FINDINGS:
                break
        return findings

    def _referenced_schemas(self, schema: Schema) -> dict[str, Schema]:
        """The named schemas that a schema needs, converted."""
        schemas: dict[str, Schema] = {}
        pending = list(_references(schema))
        while pending:
            name = pending.pop()
            if name in schemas:
                continue
            if name not in self._converted:
                self._converted[name] = convert(self.source["components"]["schemas"][name])
            schemas[name] = self._converted[name]
            pending += _references(schemas[name])
        return schemas


class _Operation:
    """One operation: its path, parameters, body and responses."""

    def __init__(self, document: _Document, method: str, path: str, operation: Mapping[str, Any]) -> None:
        self.id: str = operation["operationId"]
        self.method, self.path = method, path
        self._document = document
        self._operation = operation
        # A path, a ref or a label may contain slashes; the last parameter of these takes the rest.
        names = re.findall(r"\{(\w+)\}", path)
        greedy = {"path", "ref", "base", "head", "basehead", "branch"} & set(names)
        expression = re.escape(path)
        for name in names:
            group = ".+?" if name in greedy else "[^/]+"
            expression = expression.replace(rf"\{{{name}\}}", f"(?P<{name}>{group})")
        # The root of a tree is the empty path: GitHub takes it with and without the slash.
        expression = expression.replace("/(?P<path>.+?)", "(?:/(?P<path>.*))?")
        self.pattern = re.compile(expression)
        parts = path.strip("/").split("/")
        self.rank = (*(1 if "{" in part else 0 for part in parts), len(greedy))
        pointer = f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
        self._body: str | None = None
        self._body_required = False
        if "requestBody" in operation:
            self._body = self._json_schema_reference(f"{pointer}/requestBody", operation["requestBody"])
            self._body_required = bool(operation["requestBody"].get("required"))
        self._query: dict[str, Schema] = {}
        self._required: list[str] = []
        self._path: dict[str, Schema] = {}
        for parameter in operation.get("parameters", ()):
            resolved = document.resolve(parameter)
            if resolved["in"] == "query":
                self._query[resolved["name"]] = convert(document.resolve(resolved["schema"]))
                if resolved.get("required"):
                    self._required.append(resolved["name"])
            elif resolved["in"] == "path":
                self._path[resolved["name"]] = convert(document.resolve(resolved["schema"]))
        self._responses: dict[int, str | None] = {}
        for status, response in operation["responses"].items():
            if status.isdigit():
                reference = response.get("$ref") or f"{pointer}/responses/{status}"
                self._responses[int(status)] = self._json_schema_reference(reference, document.resolve(response))

    def _json_schema_reference(self, pointer: str, node: Mapping[str, Any]) -> str | None:
        """The reference to the schema of a JSON body, or None when it has none."""
        for media_type in node.get("content", {}):
            if media_type.startswith("application/json"):
                return f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
        return None

    def check_request(self, path: str, query: Mapping[str, str], body: Any) -> list[str]:
        """The parts of a request that are not described."""
        findings = []
        match = self.pattern.fullmatch(path)
        values = match.groupdict() if match is not None else {}
        for name, schema in self._path.items():
            if values.get(name) is not None and not _matches_schema(schema, unquote(values[name])):
                findings.append(f"path: {name}={values[name]!r} is not a {schema.get('type')}")
        for name, value in query.items():
            if name not in self._query:
                findings.append(f"query: {name!r} is not a parameter of it")
            elif not _matches_schema(self._query[name], value):
                findings.append(f"query: {name}={value!r} is not as described")
        findings += [f"query: {name!r} is missing" for name in self._required if name not in query]
        if body is None:
            if self._body_required:
                findings.append("body: it is missing")
        elif self._body is None:
            if body != {}:
                findings.append("body: it takes none")
        else:
            problems = self._document.findings(self._body, body, closed=True)
            findings += [f"body: {problem}" for problem in problems]
        return findings

    def check_response(self, status: int, body: Any) -> list[str]:
        """The parts of a response that are not described. Errors that GitHub can send anywhere need no description."""
        if status not in self._responses:
            return [] if status >= 400 or status in (301, 302, 307, 304) else ["this status is not described"]
        reference = self._responses[status]
        if reference is None:
            response = self._document.resolve(self._operation["responses"][str(status)])
            if body is not None and not response.get("content"):
                return [] if status >= 300 else ["there should be no body"]
            return []
        return self._document.findings(reference, body)


def _matches_schema(schema: Schema, text: str) -> bool:
    """Whether the text of a parameter matches its schema."""
    types = schema.get("type")
    types = types if isinstance(types, list) else [types]
    if "enum" in schema:
        return text in {str(value).lower() if isinstance(value, bool) else str(value) for value in schema["enum"]}
    if types == ["integer"]:
        return bool(re.fullmatch(r"-?\d+", text))
    if types == ["boolean"]:
        return text in ("true", "false")
    return True


def convert(schema: Any, *, closed: bool = False) -> Any:
    """An OpenAPI 3.0 or 3.1 schema as JSON Schema 2020-12.

    `nullable` adds null to the type, or an `anyOf` with null around the schema; references point into `$defs`. With
    `closed`, objects that list their properties and say nothing of others allow no others.
    """
    if isinstance(schema, list):
        return [convert(subschema, closed=closed) for subschema in schema]
    if not isinstance(schema, dict):
        return schema
    converted: Schema = {}
    for key, value in schema.items():
        if key == "$ref":
            converted[key] = value.replace("#/components/schemas/", "#/$defs/")
        elif key == "properties":
            converted[key] = {name: convert(subschema, closed=closed) for name, subschema in value.items()}
            if "enum" in converted[key].get("events", {}).get("items", {}):
                # The lists of events that an App can subscribe to lack some that GitHub sends.
                del converted[key]["events"]["items"]["enum"]
        elif key in ("allOf", "anyOf", "oneOf"):
            # GitHub writes oneOf where several may fit (two kinds of error, say), so it is read as anyOf.
            # The branches of allOf describe one object together: none of them may forbid the others' keys.
            converted["allOf" if key == "allOf" else "anyOf"] = [
                convert(subschema, closed=closed and key != "allOf") for subschema in value
            ]
        elif key in ("items", "not", "additionalProperties"):
            converted[key] = convert(value, closed=closed)
        elif key == "enum":
            converted[key] = list(value)
        elif key != "nullable":
            converted[key] = value
    is_composed = any(key in schema for key in ("allOf", "anyOf", "oneOf"))
    if closed and converted.get("properties") and "additionalProperties" not in converted and not is_composed:
        converted["additionalProperties"] = False
    if schema.get("nullable"):
        return _make_nullable(converted)
    return converted


def _make_nullable(schema: Schema) -> Schema:
    schema_type = schema.get("type")
    if schema_type is None or any(key in schema for key in ("allOf", "anyOf", "oneOf", "$ref")):
        return {"anyOf": [schema, {"type": "null"}]}
    schema["type"] = [*schema_type, "null"] if isinstance(schema_type, list) else [schema_type, "null"]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"].append(None)
    return schema


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    if not isinstance(schema, dict):
        return []
    names = [name for value in schema.values() for name in _references(value)]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        names.append(reference.removeprefix("#/$defs/"))
    return names
