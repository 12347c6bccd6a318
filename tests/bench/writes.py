"""What a task costs of GitHub's limits over its whole life: the demo is played, and its requests are counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure

ROOT = Path(__file__).parents[2]
SECONDS = 400.0  # after which the demo has given up long ago
ALLOWED = 8.0


def writes() -> list[Figure]:
    """Play the demo once; raises RuntimeError with its last words where it does not come to its end."""
    command = [sys.executable, "-m", "bot", "demo", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the demo failed: {done.stderr[-2000:]}")
    return figures(json.loads(done.stdout))


def figures(told: dict[str, Any]) -> list[Figure]:
    """The figures of a demo's summary. They are counts; but on a slow machine more states last long enough to show."""
    tasks, calls = told["tasks"], told["github_calls"]
    how = {"tasks": tasks, "seconds": told["seconds"], "by_operation": calls}
    return [
        Figure("content_writes_per_task", told["content_writes_per_task"], "writes", ALLOWED, how={"tasks": tasks}),
        Figure("github_calls_per_task", sum(calls.values()) / tasks, "calls", None, how=how),
    ]
