"""The demo itself: from filed issues to merged code, and the same when agents fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.demo.run import run_demo
from bot.demo.scenario import SCENARIO, DemoAgent
from sandbox.actors.agents import Crashes, Stalls
from sandbox.actors.agents.scripted import Script

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from bot.cli.main import main; sys.argv = ['orchestrator', 'demo', '--json']; main()"


def of_the_demo(folder: Path) -> list[str]:
    """The processes that were started for a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def _all(script: Script) -> dict[str, DemoAgent]:
    """Every agent works by this script."""
    return {
        name: replace(part, script=script, think_seconds=0, crashes=False, has_no_credit=False)
        for name, part in SCENARIO.agents.items()
    }


def test_two_tasks_that_touch_one_file_become_merged_code_one_after_the_other(
    capsys: pytest.CaptureFixture[str], restore_logging: None
) -> None:
    """The short form of the demo."""
    errands = tuple(errand for errand in SCENARIO.demo_tasks if errand.name in ("coffee", "teapot"))
    agents = {name: replace(part, crashes=False) for name, part in SCENARIO.agents.items()}
    assert (
        run_demo(as_json=True, scenario=replace(SCENARIO, demo_tasks=errands, agents=agents, timeout_seconds=60)) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["tasks"], told["done"], told["failed"], told["lost"]) == (2, 2, 0, 0)
    assert 0 < told["assignment_latency_ms"]["p50"] <= told["assignment_latency_ms"]["p95"]
    assert told["conflicts"] == {"before_work": 1, "during_work": 0, "at_merge": 0}
    assert told["github_calls"]["pulls/merge"] == 2


@pytest.mark.full
def test_the_demo_turns_ten_issues_into_merged_code(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # the embedded server runs as another user when we are root
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,  # the demo itself gives up before
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["tasks"], told["done"], told["failed"], told["lost"]) == (10, 10, 0, 0)
    assert 0 < told["assignment_latency_ms"]["p50"] <= told["assignment_latency_ms"]["p95"]
    assert told["feedback_rounds"] >= 1
    assert told["reassignments"] >= 2, "one agent died at work, and one had no credit"
    assert told["failover_seconds_max"] > 0
    assert told["github_calls"]["pulls/merge"] >= 10
    assert {"repos/create-dispatch-event", "actions/create-workflow-dispatch"} <= told["github_calls"].keys()
    assert told["content_writes_per_task"] > 0
    met = told["conflicts"]
    assert met["before_work"] >= 1, "the forms name one file"
    assert met["during_work"] >= 1, "not known before"
    assert met["at_merge"] == 0
    assert told["retrospectives"] >= 2, "one after three tasks, and one after three more"
    assert told["digests"] >= 1
    assert told["nudges"] >= 1, "she overlooks what waits for her"
    assert told["calls_answered"] >= 1
    assert told["seconds"] > 0
    assert not list(tmp_path.glob("orchestrator-demo-*"))
    assert not of_the_demo(tmp_path)


@pytest.mark.full
def test_it_ends_with_status_1_when_the_agents_fail_for_ever(
    capsys: pytest.CaptureFixture[str], restore_logging: None
) -> None:
    hopeless = replace(SCENARIO, demo_tasks=SCENARIO.demo_tasks[:2], agents=_all(Crashes()))
    assert run_demo(as_json=True, scenario=hopeless) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["tasks"], told["done"], told["failed"], told["lost"]) == (2, 0, 1, 1)
    assert told["feedback_rounds"] == 3
    assert "#1 Add voucher codes is failed, not done" in err
    assert "shop/vouchers.py of the task Add voucher codes is not in main" in err


@pytest.mark.full
def test_it_gives_up_when_nothing_moves(capsys: pytest.CaptureFixture[str], restore_logging: None) -> None:
    asleep = replace(SCENARIO, demo_tasks=SCENARIO.demo_tasks[:1], agents=_all(Stalls()), timeout_seconds=8)
    assert run_demo(as_json=True, scenario=asleep) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "The demo stopped after 8 s. Still open:\n  #1 Add voucher codes: in-progress, attempt 1" in err
