"""Reads untrusted YAML as plain data with the position of every key.

Only the nodes of PyYAML are used, never its constructors: the result consists of dict, list, str, int, float, bool and
None. Keys are always text. As in YAML 1.2 only `true` and `false` are booleans, and `22:00` or `2026-01-01` stay text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from config.problems import ConfigError, Problem, quote

# A configuration is a page of text. The limits stop a file that is made to consume time or memory.
MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 20
MAX_NODES: Final = 10_000

Data: TypeAlias = "dict[str, Data] | list[Data] | str | int | float | bool | None"
KeyPath: TypeAlias = tuple[str | int, ...]

_TAG_PREFIX: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The data of one file, and the position of each key and value."""

    data: Data = None
    keys: dict[KeyPath, SourcePosition] = field(default_factory=dict)
    values: dict[KeyPath, SourcePosition] = field(default_factory=dict)

    def key_position(self, path: KeyPath) -> SourcePosition:
        """Where the key at `path` is written, or the nearest one around it."""
        return self._nearest_position(path, self.keys)

    def value_position(self, path: KeyPath) -> SourcePosition:
        """Where the value at `path` begins, or the nearest one around it."""
        return self._nearest_position(path, self.values)

    def _nearest_position(self, path: KeyPath, positions: dict[KeyPath, SourcePosition]) -> SourcePosition:
        if path in positions:
            return positions[path]
        while path not in self.keys and path:
            path = path[:-1]
        return self.keys.get(path, SourcePosition(1, 1))


class _LimitError(yaml.MarkedYAMLError):
    """The text may be YAML, but exceeds what a configuration needs."""


class _Loader(yaml.SafeLoader):
    """A SafeLoader that stops at too many aliases or too deep nesting, and knows the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.aliases = 0
        self.nodes = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        self.nodes += 1
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                self._stop(f"more than {MAX_ALIASES} aliases (*name); write the values out")
        if self.nodes > MAX_NODES:
            self._stop(f"more than {MAX_NODES} values")
        if self.depth > MAX_DEPTH:
            self._stop(f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _stop(self, reason: str) -> NoReturn:
        peek = cast("Callable[[], yaml.Event]", self.peek_event)
        mark = cast("yaml.Mark", peek().start_mark)
        raise _LimitError(problem=reason, problem_mark=mark)


for _name, _pattern, _first_characters in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_TAG_PREFIX + _name, re.compile(_pattern, re.ASCII), _first_characters)


def read_yaml(text: str, path: str) -> Document:
    """Read one YAML document.

    Raises ConfigError, and nothing else, for any unusable text: with every problem that can be separated (duplicate
    keys, foreign tags), or with the first one if the text is not YAML.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(path, [Problem(1, 1, "", f"the file is larger than {MAX_BYTES // 1024} KiB")])
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = SourcePosition(mark.line + 1, mark.column + 1) if mark else SourcePosition(1, 1)
        raise ConfigError(path, [Problem(position.line, position.column, "", _describe_error(error))]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{int(error.character):04X} is not allowed in a YAML file"
        raise ConfigError(path, [Problem(line, 1, "", message)]) from None
    except (ValueError, OverflowError):  # PyYAML's chr() of an escape such as "\UFFFFFFFF"
        line = loader.line + 1
        raise ConfigError(path, [Problem(line, 1, "", "an escape that is not a character")]) from None
    if root is None:
        raise ConfigError(path, [Problem(1, 1, "", "the file is empty")])
    builder = _Builder()
    builder.document.data = builder.build(root, ())
    if builder.problems:
        raise ConfigError(path, builder.problems)
    return builder.document


def _describe_error(error: yaml.MarkedYAMLError) -> str:
    description = " ".join(part for part in (error.context, error.problem) if part)
    description = description.replace("`", "'")
    return description if isinstance(error, _LimitError) else f"this is not valid YAML: {description}"


class _Builder:
    """Turns nodes into data and remembers their places."""

    def __init__(self) -> None:
        self.document = Document()
        self.problems: list[Problem] = []
        self._nodes = 0

    def build(self, node: Node, path: KeyPath) -> Data:
        """The data of `node`; an invalid node adds to `problems` and becomes None."""
        self._nodes += 1
        self.document.values[path] = _node_position(node)
        if len(path) > MAX_DEPTH:  # an alias to one of its own parents
            return self._add_problem(node, path, f"nested deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._add_problem(node, path, f"more than {MAX_NODES} values")
            return None
        if isinstance(node, MappingNode) and node.tag == _TAG_PREFIX + "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == _TAG_PREFIX + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        return self._add_problem(node, path, f"the tag {quote(node.tag)} is not accepted here")

    def _mapping(self, node: MappingNode, path: KeyPath) -> Data:
        result: dict[str, Data] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or _has_lone_surrogate(key.value):
                self._add_problem(key, path, "a key must be plain text")
                continue
            key_path = (*path, str(key.value))
            if key.value in result:
                first_line = self.document.keys[key_path].line
                self._add_problem(key, key_path, f"the key is already in line {first_line}")
                continue
            self.document.keys[key_path] = _node_position(key)
            result[key.value] = self.build(value, key_path)
        return result

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Data:
        text: str = node.value
        if _has_lone_surrogate(text):
            return self._add_problem(node, path, "an escape that is not a character")
        kind = node.tag.removeprefix(_TAG_PREFIX)
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        if kind in {"int", "float"}:
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:  # only after an explicit tag, as in `!!int many`
                return self._add_problem(node, path, f"{quote(text)} is not a number")
        return self._add_problem(node, path, f"the tag {quote(node.tag)} is not accepted here")

    def _add_problem(self, node: Node, path: KeyPath, message: str) -> Data:
        position = _node_position(node)
        self.problems.append(Problem(position.line, position.column, format_key_path(path), message))
        return None


def format_key_path(path: KeyPath) -> str:
    """`("agents", "codex", "capabilities", 0)` → `agents.codex.capabilities[0]`, each part one short line."""
    text = ""
    for component in path:
        text += f"[{component}]" if isinstance(component, int) else f".{quote(component)[1:-1]}"
    return text.removeprefix(".")


def _node_position(node: Node) -> SourcePosition:
    return SourcePosition(node.start_mark.line + 1, node.start_mark.column + 1)


def _has_lone_surrogate(text: str) -> bool:
    """Whether the text has half a surrogate pair, written as an escape: it could not be stored."""
    return any("\ud800" <= char <= "\udfff" for char in text)
