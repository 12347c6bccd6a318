"""Alice, the maintainer of the shop: she files the tasks, completes one of them, and checks what was promised."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bot.demo.form import IssueForm
from bot.demo.scenario import SPEED, DemoTask, Scenario
from config.labels import OFFERED_LABELS
from core.task.model import Flag
from core.texts import DONE_CHECK
from sandbox import Sandbox
from sandbox.actors.people import Person
from sandbox.state.models import Issue, PullRequest, Repository

LOOK_EVERY = 0.1  # seconds of the watcher's between two looks at her notifications
_TASK_BRANCH = re.compile(r"task/(\d+)-\d+")


@dataclass(slots=True)
class Maintainer:
    """What she does, all of it as a person could on GitHub."""

    hub: Sandbox
    person: Person
    shop: Repository
    form: IssueForm
    story: Scenario
    issues: dict[str, Issue] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)

    async def waits_for_labels(self) -> None:
        """An issue form cannot set labels that are not there yet: wait until the bot has made those that people set."""
        while any(self.shop.label(label.name) is None for label in OFFERED_LABELS):
            await self.hub.clock.sleep(LOOK_EVERY * SPEED)

    async def files_tasks(self) -> None:
        """Open an issue for each errand, through the form."""
        for errand in self.story.errands:
            body = self.form.render(self._answers(errand))
            issue = await self.person.opens_issue(self.shop, errand.title, body, labels=self.form.labels)
            self.issues[errand.name] = issue
            await self.hub.clock.sleep(self.story.filing * SPEED)

    def _answers(self, errand: DemoTask) -> dict[str, str]:
        answers = dict(errand.answers)
        if errand.after:
            answers["dependencies"] = ", ".join(f"#{self.issues[name].number}" for name in errand.after)
        return answers

    async def completes(self) -> None:
        """Come back to the issues that were not ready, and write down what was missing."""
        await self.hub.clock.sleep(self.story.completing * SPEED)
        for errand in self.story.errands:
            if errand.completed:
                body = self.form.render({**self._answers(errand), **errand.completed})
                await self.person.edits_issue(self.issues[errand.name], body=body)

    async def checks(self) -> None:
        """Whenever a pull request's `definition-of-done` asks for it, look at the work and tick the criteria."""
        while True:
            for pull in self.shop.pulls():
                if pull.state == "open" and pull.head_sha not in self._checked and self._asked(pull):
                    self._checked.add(pull.head_sha)
                    self.hub.spawn(self._ticks(pull), name="alice ticks the criteria")
            await self.hub.clock.sleep(LOOK_EVERY * SPEED)

    def _asked(self, pull: PullRequest) -> bool:
        runs = self.shop.check_runs(pull.head_sha)
        return any(run.name == DONE_CHECK and run.conclusion == "action_required" for run in runs)

    async def _ticks(self, pull: PullRequest) -> None:
        await self.hub.clock.sleep(self.story.patience * SPEED)
        branch = _TASK_BRANCH.fullmatch(pull.head_ref)
        if branch:
            issue = self.shop.issue(int(branch[1]))
            if self._overlooks(issue):
                await self._until_called(issue)
            await self.person.edits_issue(issue, body=(issue.body or "").replace("- [ ]", "- [x]"))

    def _overlooks(self, issue: Issue) -> bool:
        return any(errand.overlooked and self.issues.get(errand.name) is issue for errand in self.story.errands)

    async def _until_called(self, issue: Issue) -> None:
        """Only the label tells her; then she says that she is there, before she looks."""
        while Flag.NEEDS_HUMAN not in issue.label_names:
            await self.hub.clock.sleep(LOOK_EVERY * SPEED)
        await self.hub.clock.sleep(self.story.patience * SPEED)
        await self.person.comments(issue, "/ack I was in a meeting.")
        await self.hub.clock.sleep(self.story.patience * SPEED)
