"""What a task costs of GitHub's limits over its whole life: the demo is played, and its requests are counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 400.0  # after which the demo has given up long ago
TARGET_WRITES = 8.0


def writes() -> list[Figure]:
    """Play the demo once; raises RuntimeError with its last words where it does not come to its end."""
    command = [sys.executable, "-m", "bot", "demo", "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"the demo failed: {result.stderr[-2000:]}")
    return figures(json.loads(result.stdout))


def figures(summary: dict[str, Any]) -> list[Figure]:
    """The figures of a demo's summary. They are counts; but on a slow machine more states last long enough to show."""
    tasks, calls = summary["tasks"], summary["github_calls"]
    details = {"tasks": tasks, "seconds": summary["seconds"], "by_operation": calls}
    return [
        Figure(
            "content_writes_per_task",
            summary["content_writes_per_task"],
            "writes",
            TARGET_WRITES,
            details={"tasks": tasks},
        ),
        Figure("github_calls_per_task", sum(calls.values()) / tasks, "calls", None, details=details),
    ]
