"""Agents that live on GitHub and need no workflow: Copilot, whom one assigns, and those who listen to their name.

    hub.cloud["copilot"] = CloudAgent(account=bot, script=WritesFiles({…}), branch="copilot/fix-{task}")
    hub.cloud["codex"] = CloudAgent(account=bot, script=…, mention="@codex")

A script is the same as of any scripted agent. Everything an agent does goes over HTTP with its own token.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.actions.job_log import JobLog
from sandbox.actors.agents.scripted import AgentCrash, AgentWork, Script
from sandbox.hub import Hub
from sandbox.services import comments
from sandbox.state.models import Comment, Issue, User

COPILOT_LOGIN, COPILOT_ID = "copilot-swe-agent[bot]", 198_982_749


@dataclass(slots=True, kw_only=True)
class CloudWork(AgentWork):
    """Work that an assignment or a comment asked for; `said` are the words of whoever asked."""

    issue: Issue = field(repr=False)
    asked_by: User
    said: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorksInDraft:
    """Opens a draft at once, works, and asks whoever called it for a review: so does Copilot.

    It may not take the draft mark off itself.
    """

    files: Mapping[str, str]

    async def __call__(self, work: AgentWork) -> None:
        """Do the work."""
        await work.clone()
        await work.commit("Initial plan")
        await work.push()
        number = await work.open_pull(f"[WIP] Task #{work.task}", f"Fixes #{work.task}", draft=True)
        for path, text in self.files.items():
            work.write(path, text)
        await work.think()
        await work.commit(f"Task #{work.task}")
        await work.push()
        await work.api("PATCH", f"/pulls/{number}", {"title": f"Task #{work.task}"})
        if isinstance(work, CloudWork):
            await work.api("POST", f"/pulls/{number}/requested_reviewers", {"reviewers": [work.asked_by.login]})


@dataclass(slots=True)
class CloudAgent:
    """An agent of GitHub's or of a service that lives there.

    `mention` is the name it listens to in comments; without one it is assigned. `branch` is where it works. `sees` is
    whether it puts its eyes on what called it, `waits` how many seconds of the clock pass before it does anything and
    `think` how many before it pushes, `hears_bots` whether a bot's word counts.
    """

    account: User
    script: Script
    branch: str
    mention: str | None = None
    sees: bool = True
    waits: float = 0
    think: float = 0
    hears_bots: bool = True
    works: list[CloudWork] = field(default_factory=list)
    _running: dict[int, asyncio.Task[Any]] = field(default_factory=dict)

    def is_called_by(self, comment: Comment) -> bool:
        """Whether a comment calls it: its name stands there as GitHub reads mentions."""
        deaf = comment.user is self.account or (comment.user.type == "Bot" and not self.hears_bots)
        if self.mention is None or deaf:
            return False
        called = rf"(?<![\w`@/.-]){re.escape(self.mention)}(?![\w-])"
        return re.search(called, comment.body, re.IGNORECASE) is not None

    def start_on_comment(self, hub: Hub, comment: Comment) -> None:
        """Begin what a comment asks for; one that asks to stop ends what runs."""
        if "please stop" in comment.body:
            self.stop(comment.issue)
            return
        self._begin(hub, comment.issue, comment.user, comment.body, comment)

    def start_on_assignment(self, hub: Hub, issue: Issue, actor: User, assignment: dict[str, Any]) -> None:
        """Begin on an issue that somebody assigned it to."""
        self._begin(hub, issue, actor, str(assignment.get("custom_instructions") or ""), issue)

    def stop(self, issue: Issue) -> None:
        """End what runs for an issue, if anything does."""
        if running := self._running.pop(issue.number, None):
            running.cancel()

    def _begin(self, hub: Hub, issue: Issue, actor: User, said: str, seen: Issue | Comment) -> None:
        if not issue.repository.is_collaborator(self.account):
            hub.grant(issue.repository, self.account, "write")
        work = CloudWork(
            hub=hub,
            repository=issue.repository,
            id=hub.new_id(),
            actor=self.account,
            token=hub.create_token(self.account),
            payload={"task": issue.number, "branch": self.branch.format(task=issue.number, run=len(self.works) + 1)},
            _log=JobLog(hub.now),
            _think=self.think,
            issue=issue,
            asked_by=actor,
            said=said,
        )
        self.works.append(work)
        self._running[issue.number] = hub.spawn(self._live(work, seen), name=f"{self.account.login} on #{issue.number}")

    async def _live(self, work: CloudWork, seen: Issue | Comment) -> None:
        await work.think(self.waits)
        if self.sees:
            comments.react(work.hub, seen.reactions, self.account, "eyes")
        try:
            await self.script(work)
        except AgentCrash as crash:
            work.log(f"died: {crash}")
        finally:
            work.tidy()
