"""Sends a heartbeat to the orchestrator every two minutes, in the background.

The first heartbeat is sent at once and its response shown; nothing here ever fails the run. The loop ends when the
orchestrator says that the agent no longer holds the task, when there was no response for long, and at the latest with
the job.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException

from runner import TIMEOUT, _NoRedirect, run, say, setting

PATH = "/internal/agent/heartbeat"
UNANSWERED = 30  # in a row: an hour without response, after which another agent has the task
LONGEST = 8 * 3600  # seconds; a job of GitHub's own runners may take six hours


def beat() -> tuple[int, str]:
    """Send one heartbeat: the status of the answer (0: none) and what it says."""
    url = setting("ORCHESTRATOR_URL").rstrip("/") + PATH
    if not url.startswith(("https://", "http://127.0.0.1:")):
        return 400, "the input orchestrator-url must begin with https://"
    told = {
        "repository": setting("GITHUB_REPOSITORY"),
        "task": int(setting("TASK")),
        "attempt": int(setting("ATTEMPT")),
        "agent": setting("AGENT"),
    }
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above
        url,
        method="POST",
        data=json.dumps(told).encode(),
        headers={"Authorization": f"Bearer {setting('ORCHESTRATOR_TOKEN')}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            return answer.status, "taken"
    except urllib.error.HTTPError as error:
        return error.code, error.read(2000).decode("utf-8", "replace")
    except (OSError, HTTPException, ValueError) as error:
        return 0, str(error)


def is_final(status: int) -> bool:
    """Whether repeating it is pointless: a clear no, except "too often"."""
    return 300 <= status < 500 and status != 429


def loop() -> None:
    """Send heartbeats until a clear no, or until the orchestrator stops responding."""
    pause = float(os.environ.get("HEARTBEAT_SECONDS", "120"))
    end = time.monotonic() + LONGEST
    unanswered = 0
    while time.monotonic() < end and unanswered < UNANSWERED:
        time.sleep(pause)
        status, _ = beat()
        if is_final(status):
            return
        unanswered = 0 if status else unanswered + 1


def main() -> None:
    """The first heartbeat, and the loop in a process of its own."""
    status, said = beat()
    if is_final(status):
        say("warning", f"The orchestrator refused the heartbeat ({status}): {said}")
        return
    if status != 200:
        say("warning", f"The first heartbeat did not arrive; it is sent again ({status or 'no answer'}): {said}")
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, __file__, "loop"], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )


if __name__ == "__main__":
    run(loop if sys.argv[1:] == ["loop"] else main)
