"""The App asks for what its code uses and for nothing else: `app.yml` against the source."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

import adapters.github as github
from adapters.github import OPERATIONS
from adapters.github.operation import Operation
from handlers import HANDLERS

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = yaml.safe_load((ROOT / "app.yml").read_text(encoding="utf-8"))
CLIENT = Path(github.__file__).parent
ROOMS = ("adapters", "engine", "handlers", "scheduler", "bot")

# What the declarations of single operations cannot say.
BESIDES = (
    ("contents", "read"),  # git fetches branches for the trial merge
    # The comments and the closing of a pull request go through its issue; for those GitHub wants this one as well,
    # although its description names either as enough.
    ("pull_requests", "write"),
)
# These come to every App, and cannot be subscribed to.
UNASKED = {"installation", "installation_repositories"}
# GitHub's permissions, weakest first.
ACCESS = ("read", "write")


def operations_by_method() -> dict[str, set[str]]:
    """The methods of the client with the operations that each of them calls, read from the source."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(CLIENT.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = dict(declared(tree))
        for method in ast.walk(tree):
            if isinstance(method, ast.AsyncFunctionDef | ast.FunctionDef):
                used = {names[n.id] for n in ast.walk(method) if isinstance(n, ast.Name) and n.id in names}
                if used:
                    found[method.name] |= used
    return found


def declared(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Constant and operationId of each `NAME = operation("id", …)`."""
    for node in tree.body:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=name), value=ast.Call(func=ast.Name(id="operation"), args=[first, *_])
            ):
                yield name, ast.literal_eval(first)


def called() -> set[str]:
    """The names of all methods that anything in the bot calls. The demo is left out: it is no part of the service."""
    sources = [
        path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "demo" not in path.relative_to(ROOT).parts
    ]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    calls = (node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {function.attr for function in calls if isinstance(function, ast.Attribute)}


def used_operations() -> list[Operation]:
    """The operations that the bot can come to call."""
    calls = called()
    used = set().union(*(ids for method, ids in operations_by_method().items() if method in calls))
    return [OPERATIONS[one] for one in sorted(used)]


def test_every_operation_belongs_to_a_method() -> None:
    assert set(OPERATIONS) == set().union(*operations_by_method().values())


def test_the_permissions_are_those_that_the_code_uses_and_no_more() -> None:
    needed: dict[str, str] = {}
    for name, access in (*BESIDES, *(one.permission for one in used_operations() if one.permission)):
        needed[name] = max(needed.get(name, "read"), access, key=ACCESS.index)
    assert MANIFEST["default_permissions"] == needed


def test_no_undeclared_graphql_query_exists() -> None:
    """A query would need permissions that no operation names: give it an entry in `BESIDES` when it comes."""
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if CLIENT not in path.parents]
    assert [path.name for path in sources if ".graphql(" in path.read_text(encoding="utf-8")] == []


def test_the_events_are_those_that_have_a_handler() -> None:
    assert set(MANIFEST["default_events"]) == set(HANDLERS) - UNASKED
    assert set(HANDLERS) >= UNASKED
