"""Agents that need no workflow: Copilot, which people assign, and agents that people mention.

    hub.cloud_agents["copilot"] = CloudAgent(account=bot, script=WritesFiles({…}), branch="copilot/fix-{task}")
    hub.cloud_agents["codex"] = CloudAgent(account=bot, script=…, mention="@codex")

The scripts are those of scripted agents. Everything an agent does goes over HTTP with its own token.
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
    """Work that an assignment or a comment asked for, with the text of that request."""

    issue: Issue = field(repr=False)
    requester: User
    instructions: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorksInDraft:
    """Opens a draft, works, and then asks the caller for a review, as Copilot does.

    It may not mark its draft as ready itself.
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
            await work.api("POST", f"/pulls/{number}/requested_reviewers", {"reviewers": [work.requester.login]})


@dataclass(slots=True)
class CloudAgent:
    """An agent that GitHub or a service runs.

    `mention` is the name it answers to in comments; without one it is assigned. `branch` is where it works. `reacts`:
    it reacts with eyes to what called it. `start_delay_seconds` pass on the clock before it does anything, `think`
    seconds before it pushes. `hears_bots`: comments of bots count.
    """

    account: User
    script: Script
    branch: str
    mention: str | None = None
    reacts: bool = True
    start_delay_seconds: float = 0
    think_seconds: float = 0
    accepts_bots: bool = True
    work_items: list[CloudWork] = field(default_factory=list)
    _running: dict[int, asyncio.Task[Any]] = field(default_factory=dict)

    def is_called_by(self, comment: Comment) -> bool:
        """Whether a comment mentions it, by GitHub's rules for mentions."""
        is_ignored = comment.user is self.account or (comment.user.type == "Bot" and not self.accepts_bots)
        if self.mention is None or is_ignored:
            return False
        mention = rf"(?<![\w`@/.-]){re.escape(self.mention)}(?![\w-])"
        return re.search(mention, comment.body, re.IGNORECASE) is not None

    def start_on_comment(self, hub: Hub, comment: Comment) -> None:
        """Start what a comment asks for; a comment that asks to stop ends the work."""
        if "please stop" in comment.body:
            self.stop(comment.issue)
            return
        self._start(hub, comment.issue, comment.user, comment.body, comment)

    def start_on_assignment(self, hub: Hub, issue: Issue, actor: User, assignment: dict[str, Any]) -> None:
        """Start on an issue that was assigned to it."""
        self._start(hub, issue, actor, str(assignment.get("custom_instructions") or ""), issue)

    def stop(self, issue: Issue) -> None:
        """Stop its work on an issue, if there is any."""
        if task := self._running.pop(issue.number, None):
            task.cancel()

    def _start(self, hub: Hub, issue: Issue, actor: User, text: str, subject: Issue | Comment) -> None:
        if not issue.repository.is_collaborator(self.account):
            hub.grant(issue.repository, self.account, "write")
        work = CloudWork(
            hub=hub,
            repository=issue.repository,
            id=hub.new_id(),
            actor=self.account,
            token=hub.create_token(self.account),
            payload={
                "task": issue.number,
                "branch": self.branch.format(task=issue.number, run=len(self.work_items) + 1),
            },
            _log=JobLog(hub.now),
            _think_seconds=self.think_seconds,
            issue=issue,
            requester=actor,
            instructions=text,
        )
        self.work_items.append(work)
        self._running[issue.number] = hub.spawn(
            self._run(work, subject), name=f"{self.account.login} on #{issue.number}"
        )

    async def _run(self, work: CloudWork, subject: Issue | Comment) -> None:
        await work.think(self.start_delay_seconds)
        if self.reacts:
            comments.react(work.hub, subject.reactions, self.account, "eyes")
        try:
            await self.script(work)
        except AgentCrash as crash:
            work.log(f"crashed: {crash}")
        finally:
            work.remove_clone()
