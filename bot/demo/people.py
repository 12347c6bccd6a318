"""Alice, the maintainer of the shop: she files the tasks, completes one of them, and checks what was promised."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bot.demo.form import IssueForm
from bot.demo.scenario import SPEED, DemoTask, Scenario
from config.labels import INITIAL_LABELS
from core.task.model import Flag
from core.texts import DONE_CHECK
from sandbox import Sandbox
from sandbox.actors.people import Person
from sandbox.state.models import Issue, PullRequest, Repository

POLL_SECONDS = 0.1  # seconds of the watcher's between two looks at her notifications
_TASK_BRANCH = re.compile(r"task/(\d+)-\d+")


@dataclass(slots=True)
class Maintainer:
    """What she does, all of it as a person could on GitHub."""

    hub: Sandbox
    person: Person
    shop: Repository
    form: IssueForm
    scenario: Scenario
    issues: dict[str, Issue] = field(default_factory=dict)
    _reviewed_shas: set[str] = field(default_factory=set)

    async def wait_for_labels(self) -> None:
        """An issue form cannot set labels that are not there yet: wait until the bot has made those that people set."""
        while any(self.shop.label(label.name) is None for label in INITIAL_LABELS):
            await self.hub.clock.sleep(POLL_SECONDS * SPEED)

    async def file_tasks(self) -> None:
        """Open an issue for each errand, through the form."""
        for demo_task in self.scenario.demo_tasks:
            body = self.form.render(self._answers(demo_task))
            issue = await self.person.opens_issue(self.shop, demo_task.title, body, labels=self.form.labels)
            self.issues[demo_task.name] = issue
            await self.hub.clock.sleep(self.scenario.filing_interval_seconds * SPEED)

    def _answers(self, demo_task: DemoTask) -> dict[str, str]:
        answers = dict(demo_task.answers)
        if demo_task.depends_on:
            answers["dependencies"] = ", ".join(f"#{self.issues[name].number}" for name in demo_task.depends_on)
        return answers

    async def complete_issues(self) -> None:
        """Come back to the issues that were not ready, and write down what was missing."""
        await self.hub.clock.sleep(self.scenario.completion_delay_seconds * SPEED)
        for demo_task in self.scenario.demo_tasks:
            if demo_task.later_answers:
                body = self.form.render({**self._answers(demo_task), **demo_task.later_answers})
                await self.person.edits_issue(self.issues[demo_task.name], body=body)

    async def review_pulls(self) -> None:
        """Whenever a pull request's `definition-of-done` asks for it, look at the work and tick the criteria."""
        while True:
            for pull in self.shop.pulls():
                if pull.state == "open" and pull.head_sha not in self._reviewed_shas and self._needs_review(pull):
                    self._reviewed_shas.add(pull.head_sha)
                    self.hub.spawn(self._tick_criteria(pull), name="alice ticks the criteria")
            await self.hub.clock.sleep(POLL_SECONDS * SPEED)

    def _needs_review(self, pull: PullRequest) -> bool:
        check_runs = self.shop.check_runs(pull.head_sha)
        return any(run.name == DONE_CHECK and run.conclusion == "action_required" for run in check_runs)

    async def _tick_criteria(self, pull: PullRequest) -> None:
        await self.hub.clock.sleep(self.scenario.reaction_seconds * SPEED)
        match = _TASK_BRANCH.fullmatch(pull.head_ref)
        if match:
            issue = self.shop.issue(int(match[1]))
            if self._is_overlooked(issue):
                await self._wait_until_called(issue)
            await self.person.edits_issue(issue, body=(issue.body or "").replace("- [ ]", "- [x]"))

    def _is_overlooked(self, issue: Issue) -> bool:
        return any(
            demo_task.is_overlooked and self.issues.get(demo_task.name) is issue
            for demo_task in self.scenario.demo_tasks
        )

    async def _wait_until_called(self, issue: Issue) -> None:
        """Only the label tells her; then she says that she is there, before she looks."""
        while Flag.NEEDS_HUMAN not in issue.label_names:
            await self.hub.clock.sleep(POLL_SECONDS * SPEED)
        await self.hub.clock.sleep(self.scenario.reaction_seconds * SPEED)
        await self.person.comments(issue, "/ack I was in a meeting.")
        await self.hub.clock.sleep(self.scenario.reaction_seconds * SPEED)
