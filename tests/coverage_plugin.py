"""What coverage looks at, a pytest plugin: our own code, while a single piece of it is tried.

Being followed makes everything twice as slow, also the code of libraries, and 2,500 tests have to be waited for. So the
libraries are imported before coverage begins (this module is loaded first of all, see `addopts`), and it pauses while
tests are collected, in whole stories, in property tests, after the first rows of a table, and where texts are looked at
rather than code. What the report says is less than what is covered.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from tests.suite import item_folder

ROOT = Path(__file__).parents[1]
PACKAGES = ("config", "core", "adapters", "engine", "handlers", "scheduler", "bot", "sandbox")
# Run by others, not imported: the migrations, the shop of the demo, and the program itself.
SCRIPTS = ("adapters.database.migrations", "bot.demo.shop", "bot.__main__")
LIBRARIES = (
    "aiohttp.web",
    "alembic.command",
    "cryptography.hazmat.primitives.serialization",
    "dotenv",
    "hypothesis",
    "jinja2",
    "jwt",
    "procrastinate",
    "prometheus_client",
    "psycopg_pool",
    "rich.live",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "tenacity",
    "yaml",
)
STORY_FOLDERS = ("bench", "chaos", "demo", "process", "scenarios")  # the folders of whole stories
# Texts of the greatest length that is taken: followed, each takes five times as long, and reaches nothing new.
LONG_TEXT_TESTS = ("test_hostile_text.py", "test_hostile_pages.py", "test_digest_text.py")
TRACED_STORY = "test_happy_path.py"  # the one story that is, because much is only reached by a whole one
TEXT_TESTS = ("docs", "workflows", "test_house.py")  # pages, scripts that run by themselves, the look of the code

MAX_TRACED_ROWS = 4  # of a table test that are followed, in each process: the others go the same ways through the code
_row_counts: Counter[str] = Counter()
_TRACER = pytest.StashKey[Any]()

for library in LIBRARIES:
    importlib.import_module(library)


@contextmanager
def _use_tracer(tracer: Any) -> Iterator[None]:
    """Let this follow what runs; None pauses. To stop and start coverage itself takes longer than most tests."""
    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(previous)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Our own modules are imported while coverage looks; the tests, and what they bring along, are not."""
    if Coverage.current():
        for package in PACKAGES:
            for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
                if not module.name.startswith(SCRIPTS):
                    importlib.import_module(module.name)
    with _use_tracer(None):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Outside of the tests themselves nothing is followed: pytest calls more functions than most of them do."""
    item.stash[_TRACER] = sys.gettrace()
    with _use_tracer(None):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Where something whole is tried, nothing is measured, with one exception; of a table only the first rows are."""
    is_excluded = item_folder(pyfuncitem) in (*STORY_FOLDERS, *TEXT_TESTS) and pyfuncitem.path.name != TRACED_STORY
    is_excluded = is_excluded or pyfuncitem.path.name in LONG_TEXT_TESTS
    test_name = pyfuncitem.nodeid.partition("[")[0]
    _row_counts[test_name] += 1
    is_paused = (
        is_excluded
        or _row_counts[test_name] > MAX_TRACED_ROWS
        or pyfuncitem.get_closest_marker("hypothesis") is not None
    )
    with _use_tracer(None if is_paused else pyfuncitem.stash[_TRACER]):
        return (yield)
