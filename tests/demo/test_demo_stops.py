"""Whoever stops the demo finds nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from bot.cli import main; sys.argv = ['orchestrator', 'demo']; main()"


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
        assert any("is at work on" in line for line in demo.stdout)
        demo.send_signal(sent)
        _, said = demo.communicate(timeout=180)
    assert demo.returncode == status, said
    assert not list(tmp_path.glob("orchestrator-demo-*"))
    assert "Traceback" not in said
