"""Sessions of a service: a script that works on a repository, outside GitHub and outside any workflow."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.actions.job_log import JobLog
from sandbox.actors.agents.scripted import AgentCrash, AgentWork, Script
from sandbox.hub import Hub
from sandbox.state.models import Repository

State = Literal["queued", "working", "done", "failed", "stopped", "no-credit"]
StartFault = Literal[
    "500-done", "502-not-done", "hang-done", "hang-not-done", "429", "402", "401", "moved", "nonsense", "endless"
]


class OutOfCredit(AgentCrash):
    """The service stops because its credit is used up."""


@dataclass(eq=False, kw_only=True)
class ServiceSession:
    """One session. `body` is the request that started it, `followups` are later messages to it, `messages` its own."""

    id: str
    repository: Repository = field(repr=False)
    title: str
    branch: str
    base: str
    prompt: str = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    state: State = "queued"
    pull: int | None = None
    followups: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    work: AgentWork | None = field(default=None, repr=False)
    task: asyncio.Task[Any] | None = field(default=None, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.state not in ("queued", "working")


@dataclass(kw_only=True)
class ServiceAgent:
    """One service's agent: its account on GitHub, its key and its script.

    `start_delay_seconds` pass on the sandbox's clock before a session starts, `think` seconds before a script pushes.
    Without a `branch_prefix` it works on the branch that the request names. The next starts use up `faults`.
    `claimed_pull` is a pull request that it reports as its own, whatever it did.
    """

    hub: Hub = field(repr=False)
    script: Script
    key: str = field(repr=False)
    actor: str
    actor_id: int | None = None
    start_delay_seconds: float = 0
    think_seconds: float = 0
    branch_prefix: str | None = None
    connected_repositories: Literal["all", "none"] = "all"
    claimed_pull: int | None = None
    faults: deque[StartFault] = field(default_factory=deque)
    sessions: list[ServiceSession] = field(default_factory=list)

    def session(self, session_id: str) -> ServiceSession | None:
        """The session of this id."""
        return next((session for session in self.sessions if session.id == session_id), None)

    def start(
        self,
        repository: Repository,
        *,
        title: str,
        prompt: str,
        body: dict[str, Any],
        branch: str = "",
        base: str = "",
    ) -> ServiceSession:
        """Start a session; its work runs in the background."""
        number = self.hub.new_id()
        named = re.search(r"on the branch `([^`]+)`, from `([^`]+)`", prompt)
        own_branch = (
            f"{self.branch_prefix}{number}"
            if self.branch_prefix
            else branch or (named[1] if named else f"work-{number}")
        )
        session = ServiceSession(
            id=f"s-{number}",
            repository=repository,
            title=title,
            branch=own_branch,
            base=base or (named[2] if named else repository.default_branch),
            prompt=prompt,
            body=body,
        )
        self.sessions.append(session)
        session.task = self.hub.spawn(self._run(session, number), name=f"session {session.id}")
        return session

    def stop(self, session: ServiceSession) -> bool:
        """Stop a session; False when it has ended."""
        if session.has_ended:
            return False
        session.state = "stopped"
        if session.task:
            session.task.cancel()
        return True

    async def _run(self, session: ServiceSession, number: int) -> None:
        if self.start_delay_seconds:
            await self.hub.clock.sleep(self.start_delay_seconds)
        user = self.hub.bot(self.actor, number=self.actor_id)
        if not session.repository.is_collaborator(user):
            self.hub.grant(session.repository, user, "write")
        session.work = work = AgentWork(
            hub=self.hub,
            repository=session.repository,
            id=number,
            actor=user,
            token=self.hub.create_token(user),
            payload=_payload(session),
            _log=JobLog(self.hub.now),
            _think_seconds=self.think_seconds,
            agent_messages=session.messages,
        )
        session.state = "working"
        try:
            await self.script(work)
            session.state = "done"
        except OutOfCredit:
            session.state = "no-credit"
        except AgentCrash:
            session.state = "failed"
        finally:
            work.remove_clone()
        pulls = [pull for pull in session.repository.pulls() if pull.head_ref == work.branch]
        session.pull = self.claimed_pull or (pulls[-1].number if pulls else None)


def _payload(session: ServiceSession) -> dict[str, Any]:
    """Read the task's number, the attempt and the feedback from the prompt."""
    task = re.search(r"\(#(\d+)\)\s*$", session.prompt, re.MULTILINE)
    attempt = re.search(r"^Attempt (\d+) ", session.prompt, re.MULTILINE)
    feedback = re.search(r"^### What went wrong last time: (.+)$", session.prompt, re.MULTILINE)
    return {
        "task": int(task[1]) if task else None,
        "attempt": int(attempt[1]) if attempt else 1,
        "branch": session.branch,
        "base": session.base,
        "feedback": feedback[1] if feedback else None,
        **({"packet": session.body["packet"]} if "packet" in session.body else {}),
    }
