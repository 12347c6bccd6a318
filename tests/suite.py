"""Selects the size of the suite and orders it, a pytest plugin.

`make test` runs every check in at most three minutes: a long one in its short form, property tests with few examples,
the same each time. `pytest --full` (`make test-all`) adds the tests that are marked `full`, and gives property tests
many examples.

Tests that wait for processes run first, so that they run beside the rest and no worker waits for them at the end.
All workers of a run use one PostgreSQL server, which the process that starts them starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from _pytest.mark import ParameterSet

from tests.servers import running_postgres

# Folders by the time that their tests take, the longest first; what is not named comes last.
LONGEST_FIRST = (
    *("process", "chaos", "demo", "bench", "scenarios", "workflows", "conformance", "sandbox", "adapters", "engine"),
)
FULL_LENGTH_ONLY = "runs with --full (make test-all) only: a short form of it stands beside it"
QUICK, FULL = "quick", "full"
EXAMPLES = {QUICK: 25, FULL: 200}  # of a property test that names no number of its own
EXTERNAL_DATABASE = "TEST_DATABASE_URL"
# Tests make and remove some hundred thousand small files. In memory that takes no time; on a disk it takes a minute.
MEMORY_FOLDER = Path("/dev/shm")
MIN_MEMORY_BYTES = 2 * 1024**3  # that have to be free there: containers often have 64 MB

hypothesis.settings.register_profile(QUICK, max_examples=EXAMPLES[QUICK], deadline=None, derandomize=True)
hypothesis.settings.register_profile(FULL, max_examples=EXAMPLES[FULL], deadline=None)


def use_memory_for_temporary_files() -> None:
    """Let all temporary files be made in memory, also those of other processes, unless `TMPDIR` says where."""
    if "TMPDIR" not in os.environ and MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK):
        is_executable = not os.statvfs(MEMORY_FOLDER).f_flag & os.ST_NOEXEC
        if is_executable and shutil.disk_usage(MEMORY_FOLDER).free >= MIN_MEMORY_BYTES:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY_FOLDER)


use_memory_for_temporary_files()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--full`."""
    parser.addoption("--full", action="store_true", help="also run what takes long, and more examples of properties")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker and choose the size of the property tests."""
    config.addinivalue_line("markers", f"full: {FULL_LENGTH_ONLY}")
    hypothesis.settings.load_profile(FULL if config.getoption("--full") else QUICK)


def examples(full: int, quick: int = EXAMPLES[QUICK]) -> hypothesis.settings:
    """Settings of a property test with `full` examples in the full suite, and `quick` ones otherwise."""
    return hypothesis.settings(max_examples=full if is_full() else min(full, quick))


def full_only(*values: object) -> list[ParameterSet]:
    """Parameters of a test that are tried in the full suite only."""
    return [pytest.param(value, marks=pytest.mark.full) for value in values]


def is_full() -> bool:
    """Whether the suite runs at its full length."""
    return hypothesis.settings.get_current_profile_name() == FULL


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Start the one PostgreSQL server of all workers before they start."""
    servers = ExitStack()
    session.config.add_cleanup(servers.close)
    is_controller = session.config.getoption("numprocesses", None) and not hasattr(session.config, "workerinput")
    if is_controller and not session.config.option.collectonly and EXTERNAL_DATABASE not in os.environ:
        os.environ[EXTERNAL_DATABASE] = servers.enter_context(running_postgres())
        servers.callback(os.environ.pop, EXTERNAL_DATABASE)
    return (yield)


def item_folder(item: pytest.Item) -> str:
    """The folder of `tests` that a test stands in, or its file there."""
    return item.path.relative_to(item.config.rootpath).parts[1]


def run_order(item: pytest.Item) -> int:
    """The place of a test in the order of the run."""
    folder_name = item_folder(item)
    return LONGEST_FIRST.index(folder_name) if folder_name in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only for the full length, and let what takes longest begin first."""
    if not config.getoption("--full"):
        full_only_items = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=full_only_items)
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    items.sort(key=run_order)
