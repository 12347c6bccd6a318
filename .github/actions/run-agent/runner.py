"""Provides what the scripts share: the runner, git, and GitHub's REST API.

Standard library only, Python 3.10 or newer: this runs on GitHub's runners, where the orchestrator is not installed.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

TRIES = 3
TIMEOUT = 30  # seconds for one request
MAX_ANSWER = 10_000_000  # bytes
API_VERSION = "2022-11-28"
# Where the workflow puts this action; `prepare` keeps it out of the agent's commits.
ACTION_FOLDER = ".orchestrator-action"
BUNDLE = "work.bundle"
ANSWER = "answer.md"

Value = TypeVar("Value")


def read_file(path: Path, limit: int) -> bytes | None:
    """The beginning of a file that another job or an agent left; None unless it is a regular file.

    A link is not followed: it could lead to the environment of this process, which holds the token.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def work_folder() -> Path:
    """Where the hand-off and the collected work lie: outside the work tree, so that they get into no commit."""
    return Path(setting("RUNNER_TEMP")) / "orchestrator"


class Refused(Exception):
    """The step cannot go on; the text tells a person what to do."""


class Unclear(Exception):
    """The other side was out of reach or out of order; the same again may succeed."""


class Answered(Exception):
    """GitHub's API said no: `status` and the message of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"GitHub answered {status}: {message}")
        self.status = status
        self.message = message


def setting(name: str) -> str:
    """An environment variable of the runner. Raises Refused when it is missing or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set: run this by .github/actions/run-agent in a workflow.")
    return value


def say(level: str, message: str) -> None:
    """Write an annotation (`error`, `warning`, `notice`); what stands in the message cannot become a command."""
    safe = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::{level}::{safe}\n")
    sys.stdout.flush()


def give(**outputs: str) -> None:
    """Set outputs of the step; underscores in the names become hyphens. Values are single lines."""
    with Path(setting("GITHUB_OUTPUT")).open("a", encoding="utf-8") as file:
        for name, value in outputs.items():
            if "\n" in value or "\r" in value:
                raise Refused(f"The output {name} has more than one line.")
            file.write(f"{name.replace('_', '-')}={value}\n")


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script's main function; a refusal or an answer of GitHub becomes an error annotation and status 1."""
    try:
        main()
    except (Refused, Answered, Unclear) as error:
        say("error", str(error))
        sys.exit(1)
    sys.exit(0)


def patiently(action: Callable[[], Value]) -> Value:
    """The action's value; after `Unclear` it is tried again, at most three times in all."""
    pause = float(os.environ.get("RETRY_SECONDS", "5"))
    for left in reversed(range(TRIES)):
        try:
            return action()
        except Unclear:
            if not left:
                raise
            time.sleep(pause)
    raise AssertionError("unreachable")


def git(*arguments: str, token: str | None = None, statuses: tuple[int, ...] = (0,)) -> tuple[int, str, str]:
    """Run git in the current directory: status, output, errors. Raises Refused on any other status.

    Hooks do not run, because they are not part of this step. The token is passed in the environment, where neither the
    list of processes nor the repository's configuration shows it.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if token:
        credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{setting('GITHUB_SERVER_URL')}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {credentials}",
        }
    settings = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false")
    done = subprocess.run(["git", *settings, *arguments], env=environment, capture_output=True, check=False)
    errors = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode not in statuses:
        raise Refused(f"git {arguments[0]} failed: {errors[-2000:]}")
    return done.returncode, done.stdout.decode("utf-8", "replace").strip(), errors


def commit_of(name: str) -> str | None:
    """The SHA of the commit that a full name (`refs/…`, `HEAD`, a SHA) stands for, or None."""
    status, sha, _ = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", statuses=(0, 1))
    return sha if status == 0 else None


def is_ancestor(older: str, newer: str) -> bool:
    """Whether one commit is in the history of another (or the same)."""
    return git("merge-base", "--is-ancestor", older, newer, statuses=(0, 1))[0] == 0


def changes_something(base: str, head: str) -> bool:
    """Whether `head` differs from where it left `base`. Raises Refused when they share no history."""
    if git("merge-base", base, head, statuses=(0, 1))[0]:
        raise Refused("The work shares no history with the base branch: start from the prepared branch.")
    return git("diff", "--quiet", "--no-ext-diff", f"{base}...{head}", statuses=(0, 1))[0] == 1


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def call(method: str, path: str, token: str, body: object = None) -> Any:
    """One request to the REST API: the JSON of the answer.

    Raises Answered for a clear no, Unclear when the server failed, limits us or cannot be reached.
    """
    url = setting("GITHUB_API_URL").rstrip("/") + path
    if not url.startswith(("https://", "http://")):
        raise Refused(f"GITHUB_API_URL is not a web address: {url}")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "orchestrator-run-agent",
            "X-GitHub-Api-Version": API_VERSION,
        },
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        message = _message(error.read(MAX_ANSWER))
        if error.code >= 500 or error.code == 429:
            raise Unclear(f"GitHub answered {error.code}: {message}") from error
        raise Answered(error.code, message) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unclear(f"The request to GitHub failed ({method} {path}): {error}") from error


def _message(body: bytes) -> str:
    """The message of an error, with the details that GitHub adds to a 422."""
    try:
        told = json.loads(body)
        details = [str(e.get("message") or e.get("code")) if isinstance(e, dict) else str(e) for e in told["errors"]]
    except (ValueError, KeyError, TypeError):
        details = []
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = "no message"
    return "; ".join([message, *details])[:1000]
