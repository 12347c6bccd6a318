"""Scripted agents of workflow jobs, which clone, commit, push and open pull requests over HTTP.

By default an agent acts as a bot user of its own, `<name>-agent[bot]`, with write access to the
repository that started it: its pushes and pull requests start workflows, as with an agent that has a GitHub App
of its own. With `actor="github-actions[bot]"` it works with the run's own token, and then, as on GitHub,
neither its pushes nor its pull requests start any workflow. With `actor="dispatcher"`, or when the payload
says `"act_as": "dispatcher"`, it uses a token of the account that dispatched the run (an App acts through its
installation).
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.actions.job_log import JobLog
from sandbox.actions.run_job import dispatch_payload
from sandbox.actions.triggers import RUN_ACTOR
from sandbox.git.command import run_git
from sandbox.git.refs import RefStore
from sandbox.hub import Hub
from sandbox.state.models import Repository, User, WorkflowJob, WorkflowStep

FOREVER_SECONDS = 365 * 24 * 3600.0  # seconds of the sandbox's clock
ALL_PERMISSIONS = ("actions", "checks", "contents", "issues", "pull_requests", "statuses")


class AgentCrash(Exception):
    """The agent crashed; its job fails."""


@dataclass(slots=True, kw_only=True)
class AgentWork:
    """What a script works with. Every change goes over HTTP with the agent's own token."""

    hub: Hub = field(repr=False)
    repository: Repository = field(repr=False)
    id: int  # of the job or session that this is
    actor: User
    token: str = field(repr=False)
    payload: dict[str, Any]
    _log: JobLog = field(repr=False)
    _think_seconds: float = 0
    _folder: Path | None = None
    agent_messages: list[str] | None = None  # where a service keeps what its agent says; None: it can only comment

    @property
    def packet(self) -> dict[str, Any]:
        """The hand-off packet: `payload["packet"]` as an object or as JSON text, else empty."""
        packet = self.payload.get("packet")
        if isinstance(packet, str):
            try:
                packet = json.loads(packet)
            except ValueError:
                return {}
        return dict(packet) if isinstance(packet, Mapping) else {}

    def _find_number(self, *names: str) -> int:
        for source in (self.payload, self.packet):
            for name in names:
                value = source.get(name)
                if isinstance(value, Mapping):
                    value = value.get("number")
                if str(value).isdigit():
                    return int(str(value))
        raise AgentCrash(f"the dispatch names no {names[0]}: {self.payload}")

    @property
    def task(self) -> int:
        """The number of the task's issue. Raises AgentCrash when the dispatch names none."""
        return self._find_number("task", "issue", "number")

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        try:
            return self._find_number("attempt")
        except AgentCrash:
            return 1

    @property
    def branch(self) -> str:
        """The branch to work on: the one of the payload, else `task/<task>-<attempt>`."""
        branch = self.payload.get("branch") or self.packet.get("branch")
        return str(branch) if branch else f"task/{self.task}-{self.attempt}"

    @property
    def base(self) -> str:
        """The branch to merge into: the one of the payload, else the default branch."""
        base = self.payload.get("base") or self.packet.get("base")
        return str(base) if base else self.repository.default_branch

    @property
    def feedback(self) -> Any:
        """The packet's feedback on earlier attempts; falsy when there is none."""
        return self.packet.get("feedback") or self.payload.get("feedback")

    @property
    def folder(self) -> Path:
        """The clone. Raises AgentCrash before `clone()`."""
        if self._folder is None:
            raise AgentCrash("clone() first")
        return self._folder

    def log(self, text: str) -> None:
        """Write into the job's log."""
        self._log.write(text)

    async def think(self, seconds: float | None = None) -> None:
        """Sleep on the sandbox's clock for `seconds`, or for the agent's own think time."""
        duration = self._think_seconds if seconds is None else seconds
        if duration > 0:
            await self.hub.clock.sleep(duration)

    # Git, over HTTP

    async def git(self, *arguments: str) -> str:
        """Run git in the clone with the agent's name and token."""
        when = f"{int(self.hub.now().timestamp())} +0000"
        basic_auth = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        name, email = self.actor.login, self.actor.commit_email
        environment = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_COMMITTER_DATE": when,
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": f"http.{self.hub.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic_auth}",
            # A clone that is soon removed needs neither maintenance nor fsync.
            "GIT_CONFIG_KEY_1": "maintenance.auto",
            "GIT_CONFIG_VALUE_1": "false",
            "GIT_CONFIG_KEY_2": "core.fsync",
            "GIT_CONFIG_VALUE_2": "none",
        }
        directory = self._folder or self.hub.root
        _, output = await run_git(arguments, directory=directory, environment=environment)
        return output.decode(errors="replace").strip()

    async def clone(self) -> Path:
        """Clone and check out the work branch: the existing one, or a new one from the base."""
        target = self.hub.root / "agents" / str(self.id)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        url = f"{self.hub.url}/{self.repository.full_name}.git"
        await self.git("clone", "--quiet", "--branch", self.base, url, str(target))
        self._folder = target
        refs = RefStore(target / ".git")
        if refs.read(f"refs/remotes/origin/{self.branch}") is not None:
            await self.git("checkout", "--quiet", "-B", self.branch, f"origin/{self.branch}")
        elif (base := refs.read(f"refs/remotes/origin/{self.base}")) is not None:
            # A new branch at the commit that is checked out: only names change.
            refs.update(f"refs/heads/{self.branch}", base)
            (target / ".git" / "HEAD").write_text(f"ref: refs/heads/{self.branch}\n")
        self.log(f"Cloned {url} and checked out {self.branch}")
        return target

    def read(self, path: str) -> str:
        """The text of a file in the clone; empty when it is not there."""
        file = self.folder / path
        return file.read_text() if file.is_file() else ""

    def write(self, path: str, text: str) -> None:
        """Write a file in the clone."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    async def commit(self, message: str) -> str:
        """Commit everything in the clone, even nothing, and return the SHA."""
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--allow-empty", "--message", message)
        refs = RefStore(self.folder / ".git")
        sha = refs.read(refs.head()) or refs.head()
        self.log(f"Committed {sha[:12]}: {message.splitlines()[0]}")
        return sha

    async def push(self, branch: str | None = None) -> None:
        """Force-push the commit to the work branch (or another)."""
        target = branch or self.branch
        await self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{target}")
        self.log(f"Pushed to {target}")

    # The API

    async def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make one REST call below the repository and return its JSON. Raises AgentCrash when GitHub refuses."""
        full_name = self.repository.full_name
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": self.actor.login}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.hub.url}/repos/{full_name}{path}", json=body) as response,
        ):
            text = await response.text()
            payload = json.loads(text) if text else None
            if response.status >= 400:
                raise AgentCrash(f"{method} {path} was answered {response.status}: {payload}")
            return payload

    async def open_pull(self, title: str, body: str, *, draft: bool = False) -> int:
        """Open a pull request from the work branch, or find the open one, and return its number."""
        query = f"?state=open&head={self.repository.owner.login}:{self.branch}"
        open_pulls = await self.api("GET", f"/pulls{query}")
        if open_pulls:
            return int(open_pulls[0]["number"])
        fields = {"head": self.branch, "base": self.base, "title": title, "body": body, "draft": draft}
        pull = await self.api("POST", "/pulls", fields)
        self.log(f"Opened #{pull['number']}")
        return int(pull["number"])

    async def comment(self, issue_number: int, text: str) -> None:
        """Comment on an issue or pull request."""
        await self.api("POST", f"/issues/{issue_number}/comments", {"body": text})

    async def answer(self, kind: str, text: str) -> None:
        """Hand in a text of the kind `plan`, `approve` or `changes`.

        With an answer key it does so as the workflow does; else as a command, to its service or in a comment.
        """
        key = self.packet.get("answer_key")
        if key:
            marker = f"<!-- orchestrator:answer {self.task}-{self.attempt} {kind} {key} -->"
            await self.comment(self.task, f"### Answer\n\n{text}\n\n{marker}")
        else:
            command = f"{'/plan' if kind == 'plan' else f'/review {kind}'} {text}"
            if self.agent_messages is None:
                await self.comment(self.task, command)
            else:
                self.agent_messages.append(f"Here it is.\n\n{command}")
        self.log(f"Answered: {kind}")

    async def review(self, approves: bool, text: str) -> None:
        """Review the pull request that the packet names, as the agent's own account."""
        pull = self.packet["pull_request"]
        event = "APPROVE" if approves else "REQUEST_CHANGES"
        fields = {"event": event, "body": text, "commit_id": pull["head_sha"]}
        await self.api("POST", f"/pulls/{pull['number']}/reviews", fields)
        self.log(f"Reviewed #{pull['number']}: {event}")

    # Misbehaviour

    def crash(self, reason: str = "the agent crashed") -> None:
        """Crash: the job fails at once."""
        raise AgentCrash(reason)

    async def stall(self) -> None:
        """Do nothing (for a year of the clock) until the run is cancelled."""
        await self.hub.clock.sleep(FOREVER_SECONDS)

    def remove_clone(self) -> None:
        """Remove the clone, if there is one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(slots=True, kw_only=True)
class JobWork(AgentWork):
    """The work of a dispatched workflow job."""

    job: WorkflowJob = field(repr=False)


Script = Callable[[AgentWork], Awaitable[None]]


@dataclass(slots=True)
class ScriptedAgent:
    """Put it into `hub.agents[name]`: it then does every dispatched job whose payload says `agent: name`.

    `script` does the work; `actor` is the account it acts as (see the module's docstring); `think` are the seconds of
    the sandbox's clock that pass before the ready-made scripts push. `works` records its jobs.
    """

    script: Script
    actor: str | None = None
    think_seconds: float = 0
    work_items: list[JobWork] = field(default_factory=list)

    def _user_and_token(self, hub: Hub, job: WorkflowJob, payload: Mapping[str, Any]) -> tuple[User, str]:
        run = job.run
        login = "dispatcher" if payload.get("act_as") == "dispatcher" else self.actor
        if login == RUN_ACTOR:
            return hub.actions_app.bot, hub.create_run_token(run, dict.fromkeys(ALL_PERMISSIONS, "write"))
        if login == "dispatcher":
            for installation in hub.installations_on(run.repository):
                if installation.app.bot is run.actor:
                    return run.actor, hub.create_installation_token(installation)
            return run.actor, hub.create_token(run.actor)
        user = hub.bot(login or f"{payload['agent']}-agent[bot]")
        if not run.repository.is_collaborator(user):
            hub.grant(run.repository, user, "write")
        return user, hub.create_token(user)

    async def work(self, hub: Hub, job: WorkflowJob, log: JobLog) -> str:
        """Do a dispatched job; gives its conclusion."""
        now = hub.now()
        job.steps = [
            WorkflowStep(
                name="Set up job",
                number=1,
                status="completed",
                conclusion="success",
                started_at=now,
                completed_at=now,
            ),
            WorkflowStep(name="Run the agent", number=2, status="in_progress", started_at=now),
        ]
        payload = dispatch_payload(job.run)
        user, token = self._user_and_token(hub, job, payload)
        work = JobWork(
            hub=hub,
            repository=job.run.repository,
            id=job.id,
            job=job,
            actor=user,
            token=token,
            payload=payload,
            _log=log,
            _think_seconds=self.think_seconds,
        )
        self.work_items.append(work)
        conclusion = "failure"
        try:
            await self.script(work)
            conclusion = "success"
        except AgentCrash as crash:
            log.error(str(crash))
        finally:
            step = job.steps[1]
            step.status, step.conclusion, step.completed_at = "completed", conclusion, hub.now()
            work.remove_clone()
        return conclusion
