"""Sessions of a service: a script at work on a repository, outside GitHub and outside any workflow."""

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
    """The service stops working because nobody pays for it."""


@dataclass(eq=False, kw_only=True)
class ServiceSession:
    """One session. `told` is what the service was asked, in its own words."""

    id: str
    repository: Repository = field(repr=False)
    title: str
    branch: str
    base: str
    prompt: str = field(repr=False)
    told: dict[str, Any] = field(repr=False)
    state: State = "queued"
    pull: int | None = None
    said: list[str] = field(default_factory=list)  # what it was told while it worked
    says: list[str] = field(default_factory=list)  # its own messages
    work: AgentWork | None = field(default=None, repr=False)
    task: asyncio.Task[Any] | None = field(default=None, repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes from it."""
        return self.state not in ("queued", "working")


@dataclass(kw_only=True)
class ServiceAgent:
    """One service's agent: who it acts as on GitHub, the key it takes, and how it works.

    `late` are the seconds of the sandbox's clock before a session begins, `think` those before a script pushes.
    `branch` None lets it work on the branch that it is told; a text is what its own branches begin with. `faults` are
    used up by the next starts. `claims` is a pull request that it says is its own, whatever it did.
    """

    hub: Hub = field(repr=False)
    script: Script
    key: str = field(repr=False)
    actor: str
    actor_id: int | None = None
    late: float = 0
    think: float = 0
    branch: str | None = None
    knows: Literal["all", "none"] = "all"  # which repositories it is connected to
    claims: int | None = None
    faults: deque[StartFault] = field(default_factory=deque)
    sessions: list[ServiceSession] = field(default_factory=list)

    def session(self, session_id: str) -> ServiceSession | None:
        """The session of this id."""
        return next((one for one in self.sessions if one.id == session_id), None)

    def begin(
        self, repository: Repository, *, title: str, prompt: str, told: dict[str, Any], branch: str = "", base: str = ""
    ) -> ServiceSession:
        """Begin a session; its work goes on in the background."""
        number = self.hub.new_id()
        said = re.search(r"on the branch `([^`]+)`, from `([^`]+)`", prompt)
        own = f"{self.branch}{number}" if self.branch else branch or (said[1] if said else f"work-{number}")
        session = ServiceSession(
            id=f"s-{number}",
            repository=repository,
            title=title,
            branch=own,
            base=base or (said[2] if said else repository.default_branch),
            prompt=prompt,
            told=told,
        )
        self.sessions.append(session)
        session.task = self.hub.spawn(self._run(session, number), name=f"session {session.id}")
        return session

    def stop(self, session: ServiceSession) -> bool:
        """Stop a session; False when it had ended."""
        if session.ended:
            return False
        session.state = "stopped"
        if session.task:
            session.task.cancel()
        return True

    async def _run(self, session: ServiceSession, number: int) -> None:
        if self.late:
            await self.hub.clock.sleep(self.late)
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
            _think=self.think,
            says=session.says,
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
            work.tidy()
        heads = [pull for pull in session.repository.pulls() if pull.head_ref == work.branch]
        session.pull = self.claims or (heads[-1].number if heads else None)


def _payload(session: ServiceSession) -> dict[str, Any]:
    """What a reader takes from the prompt: the task's number, the attempt, and what went wrong before."""
    task = re.search(r"\(#(\d+)\)\s*$", session.prompt, re.MULTILINE)
    attempt = re.search(r"^Attempt (\d+) ", session.prompt, re.MULTILINE)
    feedback = re.search(r"^### What went wrong last time: (.+)$", session.prompt, re.MULTILINE)
    return {
        "task": int(task[1]) if task else None,
        "attempt": int(attempt[1]) if attempt else 1,
        "branch": session.branch,
        "base": session.base,
        "feedback": feedback[1] if feedback else None,
        **({"packet": session.told["packet"]} if "packet" in session.told else {}),
    }
