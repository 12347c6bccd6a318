"""A runner for the scripts of `.github/actions/run-agent`: real git with a bare origin, and a small API."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox import Contract

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / ".github" / "actions" / "run-agent"
DATA = ROOT / "tests" / "data" / "github"
BOT_ID = 4242  # the numeric id of the orchestrator's bot user
RUN_TOKEN, APP_TOKEN = "run-token", "app-token"

_GIT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, env=_GIT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"git {arguments}: {result.stderr}"
    return result.stdout.strip()


@dataclass
class Api:
    """As much of GitHub as the scripts ask; every request must be one that GitHub describes."""

    url: str = ""
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    written_comments: list[str] = field(default_factory=list)  # comments that were written
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, token
    # What befalls the next POSTs: "500" (not done), "lost" (done, and then 502), "403", "redirect".
    next_failures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    heartbeats: list[Any] = field(
        default_factory=list
    )  # heartbeats; the third is answered that the task has another holder

    def comment(self, number: int, task: int, body: str, author: int = BOT_ID) -> str:
        """Store a comment; gives its address."""
        self.comments[number] = {
            "id": number,
            "body": body,
            "user": {"id": author, "login": "orchestrator[bot]"},
            "issue_url": f"{self.url}/repos/acme/shop/issues/{task}",
        }
        return f"{self.url}/acme/shop/issues/{task}#issuecomment-{number}"

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        if target == "/internal/agent/heartbeat":
            self.heartbeats.append(body)
            return (200, {}) if len(self.heartbeats) < 3 else (409, {"error": "no longer yours"})
        url_parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url_parts.query).items()}
        self.violations += Contract.load(DATA).check_request(method, url_parts.path, query, body)
        if method == "GET" and "/issues/comments/" in url_parts.path:
            comment = self.comments.get(int(url_parts.path.rsplit("/", 1)[1]))
            return (200, comment) if comment else (404, {"message": "Not Found"})
        if method == "GET":
            owner, _, branch = query["head"].partition(":")
            assert owner == "acme"
            return 200, [
                candidate
                for candidate in self.pulls
                if candidate["head"] == branch and candidate["base"] == query["base"]
            ]
        failure = self.next_failures.pop(0) if self.next_failures else ""
        if failure in ("500", "403"):
            return int(failure), {"message": "Resource not accessible"}
        if failure == "redirect":
            return 307, {"message": "moved"}
        if url_parts.path.endswith("/comments"):
            self.written_comments.append(body["body"])
            created_comment = {**body, "html_url": "https://github.test/acme/shop/issues/12#issuecomment-1"}
            return (502, {"message": "Bad Gateway"}) if failure == "lost" else (201, created_comment)
        pull = {**body, "html_url": f"https://github.test/acme/shop/pull/{90 + len(self.pulls)}"}
        self.pulls.append(pull)
        return (502, {"message": "Bad Gateway"}) if failure == "lost" else (201, pull)


@contextmanager
def api_server() -> Iterator[Api]:
    """The API on a free port of this machine."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            api.requests.append((self.command, self.path, self.headers["Authorization"].removeprefix("Bearer ")))
            status, value = api.answer(self.command, self.path, body)
            response_body = json.dumps(value).encode()
            self.send_response(status)
            if status == 307:
                self.send_header("Location", f"{api.url}/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(response_body)))
            self.end_headers()
            self.wfile.write(response_body)

        do_GET = do_POST = _do  # noqa: N815 - the library looks for these names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert api.violations == []


@dataclass(frozen=True)
class ScriptResult:
    """How a script ended."""

    status: int
    output: str
    outputs: dict[str, str]

    @property
    def error(self) -> str:
        """The one error that the run's page shows; decoded."""
        assert self.status == 1, self.output
        lines = [line for line in self.output.splitlines() if line.startswith("::error::")]
        assert len(lines) == 1, self.output
        return lines[0].removeprefix("::error::").replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def _run_in_process(script: Path, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run a script as the runner does; gives its status, output and errors."""
    command = [sys.executable, "-B", str(script)]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def _run_inline(script: Path, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """The same without a process: its modules are loaded for this run alone, and everything is put back."""
    saved_environment, saved_modules, saved_path, saved_directory = (
        dict(os.environ),
        set(sys.modules),
        sys.path[:],
        Path.cwd(),
    )
    output, errors, status = io.StringIO(), io.StringIO(), 0
    sys.path.insert(0, str(script.parent))
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        with redirect_stdout(output), redirect_stderr(errors):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as exit_error:
        status = exit_error.code if isinstance(exit_error.code, int) else 1
    finally:
        os.chdir(saved_directory)
        os.environ.clear()
        os.environ.update(saved_environment)
        sys.path[:] = saved_path
        for name in set(sys.modules) - saved_modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(script.parent)):
                del sys.modules[name]
    return status, output.getvalue(), errors.getvalue()


def make_packet(task: int = 12, attempt: int = 1, agent: str = "codex", **packet_fields: Any) -> dict[str, Any]:
    """A small packet."""
    return {
        "version": 1,
        "repository": "acme/shop",
        "task": {
            "number": task,
            "title": "Add a total to the cart",
            "url": f"https://github.test/acme/shop/issues/{task}",
            "priority": "P1",
        },
        "attempt": attempt,
        "agent": agent,
        "branch": f"task/{task}-{attempt}",
        "base": "main",
        "goal": "The cart shows a total.",
        "criteria": ["total([1, 2]) is 3"],
        **packet_fields,
    }


def make_payload(packet: dict[str, Any], **payload_fields: Any) -> dict[str, Any]:
    """The payload that carries a packet."""
    keys = ("attempt", "agent", "branch", "base")
    return {"task": packet["task"]["number"], **{key: packet[key] for key in keys}, "packet": packet, **payload_fields}


class Stage:
    """An origin, and one checkout for each job, as actions/checkout leaves it."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.folder, self.api = folder, api
        self.origin_path, self.job_folder, self.temp_folder = folder / "origin.git", folder / "work", folder / "temp"
        self.temp_folder.mkdir(parents=True)
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.origin_path))
        git(folder, "clone", "-q", str(self.origin_path), "seed")
        self.seed_folder = folder / "seed"
        git(self.seed_folder, "switch", "-q", "-c", "main")
        self.commit_to("main", "cart.py", "def total(prices):\n    return 0\n")
        self.new_job("work")
        self.event: dict[str, Any] = {"client_payload": make_payload(make_packet())}

    def commit_to(self, branch: str, file: str, text: str) -> str:
        """Push a commit to the origin, as another author; returns its SHA."""
        if git(self.seed_folder, "branch", "--show-current") != branch:
            git(self.seed_folder, "switch", "-q", "-C", branch, "main")
        (self.seed_folder / file).write_text(text)
        git(self.seed_folder, "add", "-A")
        git(self.seed_folder, "commit", "-q", "-m", f"Change {file}")
        git(self.seed_folder, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.seed_folder, "rev-parse", "HEAD")

    def new_job(self, name: str) -> None:
        """A fresh machine, with what the job before kept."""
        self.job_folder = self.folder / name
        git(self.folder, "clone", "-q", str(self.origin_path), name)
        git(self.job_folder, "checkout", "-q", "--detach")

    def run(self, script: str, *, process: bool = False, **further_environment: str) -> ScriptResult:
        """Run a script as the action does: with `process` in one of its own, otherwise in this one, which costs less.

        What lives on after its script has to have a process of its own.
        """
        event, output = self.folder / "event.json", self.folder / "output"
        event.write_text(json.dumps(self.event))
        output.write_text("")
        environment = {
            **{name: v for name, v in _GIT.items() if not name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))},
            "GITHUB_ACTOR_ID": str(BOT_ID),
            "GITHUB_API_URL": self.api.url,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_SERVER_URL": self.api.url,
            "RETRY_SECONDS": "0",
            "RUNNER_TEMP": str(self.temp_folder),
            "RUN_TOKEN": RUN_TOKEN,
            "TOKEN": RUN_TOKEN,
            **further_environment,
        }
        status, script_output, errors = (_run_in_process if process else _run_inline)(
            ACTION / script, self.job_folder, environment
        )
        assert errors == "", errors
        assert status in (0, 1), script_output
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return ScriptResult(status, script_output, outputs)

    def prepare(self, *, process: bool = False) -> ScriptResult:
        return self.run("prepare.py", process=process)

    def collect(self, prepare_result: ScriptResult, *, process: bool = False) -> ScriptResult:
        environment = {"BASE_SHA": prepare_result.outputs["base-sha"], "START_SHA": prepare_result.outputs["start-sha"]}
        return self.run("collect.py", process=process, **environment)

    def hand_in(self, token: str = APP_TOKEN, *, process: bool = False) -> ScriptResult:
        return self.run("hand_in.py", process=process, TOKEN=token)

    def write_change(self, file: str = "cart.py", text: str = "def total(prices):\n    return sum(prices)\n") -> None:
        """What the agent does: it writes a file."""
        (self.job_folder / file).write_text(text)

    def prepare_hand_in(self) -> None:
        """Both scripts of the first job with some work between them, and then a fresh machine."""
        prepare_result = self.prepare()
        assert prepare_result.status == 0, prepare_result.output
        self.write_change()
        collect_result = self.collect(prepare_result)
        assert collect_result.status == 0, collect_result.output
        self.new_job(f"hand-in-{len(list(self.folder.iterdir()))}")

    @property
    def branches(self) -> dict[str, str]:
        """The origin's branches and their SHAs."""
        output = git(self.origin_path, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return dict(line.split(" ", 1) for line in output.splitlines())
