"""The import contracts of pyproject.toml hold, and each of them fails for a made-up breach."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]

# One breach of each contract: the module that imports, what it imports, and a line of the report.
BREACHES = {
    "Imports go down only": ("core/clock.py", "adapters.git.mirror", "core.clock -> adapters.git.mirror"),
    "The packages of adapters are independent, but agents may use github": (
        "adapters/alerts/mail.py",
        "adapters.database.store",
        "adapters.alerts.mail -> adapters.database.store",
    ),
    "The sandbox imports nothing of the product": (
        "sandbox/webhooks.py",
        "config.labels",
        "sandbox.webhooks -> config.labels",
    ),
    "Only the demo and the command line import the sandbox": (
        "handlers/pulls.py",
        "sandbox.clock",
        "handlers.pulls -> sandbox.clock",
    ),
    "Only tests import the tools": ("bot/metrics.py", "tools.docs", "bot.metrics -> tools.docs"),
    "Nothing imports the tests": ("bot/metrics.py", "tests.builders", "bot.metrics -> tests.builders"),
    "No circles of modules": (
        "engine/session.py",
        "engine.unit_of_work",
        "engine.session -> engine.unit_of_work -> engine.session",
    ),
    "No circles of packages": ("engine/readiness_inputs.py", "engine.unit_of_work", ".readiness_inputs"),
}


def lint_imports(folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def results(report: str) -> dict[str, str]:
    """The contracts of a report by name, each KEPT or BROKEN."""
    return {match[1]: match[2] for match in re.finditer(r"^(.+?) (KEPT|BROKEN)", report, re.MULTILINE)}


def test_the_contracts_hold() -> None:
    status, report = lint_imports(ROOT)
    assert status == 0, report


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """The code of the project, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in CONFIG["root_packages"]:
        for path in (ROOT / package).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return tmp_path


def test_each_contract_fails_for_a_breach(copied_tree: Path) -> None:
    assert BREACHES.keys() == {contract["name"] for contract in CONFIG["contracts"]}
    for file, module, _ in BREACHES.values():
        # Imports for type checking count as well.
        with (copied_tree / file).open("a") as source:
            source.write(f"\nif TYPE_CHECKING:\n    import {module}\n")
    status, report = lint_imports(copied_tree)
    assert status == 1
    assert results(report) == dict.fromkeys(BREACHES, "BROKEN"), report
    for _, _, line in BREACHES.values():
        assert line in report
