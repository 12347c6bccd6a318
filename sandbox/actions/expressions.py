"""The expressions of workflow files: `${{ github.sha }}`, `inputs.agent == 'codex' && success()`.

Supported: literals, dotted and bracketed look-ups, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`,
parentheses and the functions contains, startsWith, endsWith, format, join, toJSON, fromJSON, success,
failure, always, cancelled. Anything else raises ExpressionError, which is written to the job's log.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[!<>().,\[\]*]))"
)
_INTERPOLATION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATUS_CALL = re.compile(r"\b(success|failure|always|cancelled)\s*\(")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that the sandbox does not support."""


def text(value: Any) -> str:
    """A value as GitHub prints it into a string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2)
    return str(value)


def is_truthy(value: Any) -> bool:
    """Whether GitHub takes a value as true: everything but false, 0, the empty string and null."""
    return value not in (None, False, 0, "")


def interpolate(template: str, context: Mapping[str, Any]) -> str:
    """Replace every `${{ … }}` of a text. Raises ExpressionError."""
    return _INTERPOLATION.sub(lambda match: text(evaluate(match.group(1), context)), template)


def condition(source: str | bool | None, context: Mapping[str, Any]) -> bool:
    """The value of an `if:`; without a status function it is true only while no step failed, as on GitHub."""
    if source is None:
        return is_truthy(evaluate("success()", context))
    if isinstance(source, bool):
        return source and is_truthy(evaluate("success()", context))
    match = _INTERPOLATION.fullmatch(source.strip())
    expression = match.group(1) if match else source
    if not _STATUS_CALL.search(expression) and not is_truthy(evaluate("success()", context)):
        return False
    return is_truthy(evaluate(expression, context))


def evaluate(source: str, context: Mapping[str, Any]) -> Any:
    """The value of one expression. Raises ExpressionError."""
    parser = _Parser(source, context)
    value = parser.alternative()
    parser.expect_end()
    return value


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if type(left) is type(right):
        return bool(left == right)
    return _number(left) == _number(right)


def _contains(haystack: Any, needle: Any) -> bool:
    if isinstance(haystack, list):
        return any(_equal(item, needle) for item in haystack)
    return text(needle).casefold() in text(haystack).casefold()


def _format(template: Any, *values: Any) -> str:
    def fill(match: re.Match[str]) -> str:
        if match.group(0) in ("{{", "}}"):
            return match.group(0)[0]
        return text(values[int(match.group(1))])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}", fill, text(template))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "startswith": lambda haystack, needle: text(haystack).casefold().startswith(text(needle).casefold()),
    "endswith": lambda haystack, needle: text(haystack).casefold().endswith(text(needle).casefold()),
    "format": _format,
    "join": lambda values, separator=",": (
        text(separator).join(map(text, values)) if isinstance(values, list) else text(values)
    ),
    "tojson": lambda value: json.dumps(value, indent=2),
    "fromjson": lambda value: json.loads(text(value)),
}


class _Parser:
    """Recursive descent; each method is one level of precedence and gives a value."""

    def __init__(self, source: str, context: Mapping[str, Any]) -> None:
        self.source, self.context, self.position = source, context, 0
        self.tokens: list[tuple[str, str]] = []
        position = 0
        stripped = source.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None or match.lastgroup is None:
                raise ExpressionError(f"cannot read the expression {source.strip()!r} at {stripped[position:]!r}")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise ExpressionError(f"the expression {self.source.strip()!r} ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def accept(self, *operators: str) -> str:
        if self.position < len(self.tokens) and self.tokens[self.position] in [("op", op) for op in operators]:
            return self.take()[1]
        return ""

    def expect(self, operator: str) -> None:
        if not self.accept(operator):
            raise ExpressionError(f"{operator!r} is missing in the expression {self.source.strip()!r}")

    def expect_end(self) -> None:
        if self.position < len(self.tokens):
            raise ExpressionError(f"{self.peek()!r} is too much in the expression {self.source.strip()!r}")

    def alternative(self) -> Any:
        value = self.conjunction()
        while self.accept("||"):
            other = self.conjunction()
            value = value if is_truthy(value) else other
        return value

    def conjunction(self) -> Any:
        value = self.comparison()
        while self.accept("&&"):
            other = self.comparison()
            value = other if is_truthy(value) else value
        return value

    def comparison(self) -> Any:
        value = self.unary()
        while operator := self.accept("==", "!=", "<", "<=", ">", ">="):
            other = self.unary()
            if operator in _ORDER:
                value = _ORDER[operator](_number(value), _number(other))
            else:
                value = _equal(value, other) is (operator == "==")
        return value

    def unary(self) -> Any:
        if self.accept("!"):
            return not is_truthy(self.unary())
        value = self.primary()
        while operator := self.accept(".", "["):
            if operator == ".":
                key: Any = self.take()[1]
            else:
                key = self.alternative()
                self.expect("]")
            value = self.lookup(value, key)
        return value

    def lookup(self, value: Any, key: Any) -> Any:
        if key == "*":
            items = value.values() if isinstance(value, Mapping) else value or []
            return list(items)
        if isinstance(value, list):
            if isinstance(key, float):
                return value[int(key)] if 0 <= int(key) < len(value) else None
            return [self.lookup(item, key) for item in value]
        if isinstance(value, Mapping):
            folded_key = text(key).casefold()
            return next((item for name, item in value.items() if str(name).casefold() == folded_key), None)
        return None

    def primary(self) -> Any:
        kind, lexeme = self.take()
        if kind == "number":
            return float(lexeme)
        if kind == "string":
            return lexeme[1:-1].replace("''", "'")
        if kind == "name":
            return self.parse_name(lexeme)
        if lexeme == "(":
            value = self.alternative()
            self.expect(")")
            return value
        raise ExpressionError(f"{lexeme!r} is out of place in the expression {self.source.strip()!r}")

    def parse_name(self, name: str) -> Any:
        constant = {"true": True, "false": False, "null": None}
        if name in constant:
            return constant[name]
        if not self.accept("("):
            if name not in self.context:
                raise ExpressionError(f"the sandbox has no context {name!r} for {self.source.strip()!r}")
            return self.context[name]
        arguments: list[Any] = []
        while not self.accept(")"):
            arguments.append(self.alternative())
            if not self.accept(","):
                self.expect(")")
                break
        status = str(self.context.get("job", {}).get("status", "success"))
        results = {"success": status == "success", "failure": status == "failure", "always": True}
        if name == "cancelled":
            return status == "cancelled"
        if name in results:
            return results[name]
        function = _FUNCTIONS.get(name.casefold())
        if function is None:
            raise ExpressionError(f"the sandbox does not know the function {name}()")
        try:
            return function(*arguments)
        except (TypeError, ValueError, IndexError) as error:
            raise ExpressionError(f"{name}() in {self.source.strip()!r}: {error}") from error
