"""Stopping the demo leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from bot.demo.monitor import Snapshot
from bot.demo.output import JsonOutput
from bot.demo.run import run_demo
from bot.demo.scenario import SCENARIO

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from bot.cli.main import main; sys.argv = ['orchestrator', 'demo']; main()"


class StopsAtOnce(JsonOutput):
    """A show whose watcher has seen enough as soon as there is something to see."""

    def update(self, snapshot: Snapshot) -> None:
        """Ask the demo to end, as the system would."""
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_demo_that_is_asked_to_end_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], restore_logging: None
) -> None:
    """The short form: in this process, once the first picture is shown."""
    tmp_path.chmod(0o755)  # the embedded server runs as another user when we are root
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert (
        run_demo(scenario=replace(SCENARIO, demo_tasks=SCENARIO.demo_tasks[:1]), output=StopsAtOnce())
        == 128 + signal.SIGTERM
    )
    assert not list(tmp_path.glob("orchestrator-demo-*"))
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        # Started in the background of a shell, tests inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as demo:
        assert demo.stdout is not None
        assert any("is working on" in line for line in demo.stdout)
        demo.send_signal(sent)
        _, said = demo.communicate(timeout=180)
    assert demo.returncode == status, said
    assert not list(tmp_path.glob("orchestrator-demo-*"))
    assert "Traceback" not in said
