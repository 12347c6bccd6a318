"""`/depends` and `/resolve queue`: a task waits for another one because a user asked for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.audit.events import EventType
from core.effects.base import AddReaction, SetDependency
from core.intake.references import find_issue_references
from core.signals.base import BlockerCleared, DependencyRefused, ReferencedIssue
from core.task.dependencies import Source
from core.task.model import Flag, Status, Task
from tests.builders import Story, refused


def other(number: int = 12) -> Task:
    """Another task of the repository."""
    return replace(Story().file_ready_task().task, number=number)


@pytest.mark.parametrize(
    ("argument", "named", "rest"),
    [
        ("#12", ("#12",), ""),
        ("#12, acme/web#3 and #12", ("#12", "acme/web#3"), ""),
        ("https://github.com/acme/web/issues/3", ("acme/web#3",), ""),
        ("12", (), "12"),
        ("#12 please", ("#12",), "please"),
        ("", (), ""),
    ],
)
def test_the_references_of_an_argument(argument: str, named: tuple[str, ...], rest: str) -> None:
    assert find_issue_references(argument) == (named, rest)


class TestDepends:
    def named(self, *references: str, pull_request: bool = False) -> dict[str, ReferencedIssue | None]:
        return {ref: ReferencedIssue(ref, 1000 + n, pull_request) for n, ref in enumerate(references)}

    def test_github_is_asked_for_each(self) -> None:
        story = Story().file_ready_task()
        story.run_command(
            "/depends #12, acme/web#3", role="triage", referenced_issues=self.named("#12", "acme/web#3"), comment_id=77
        )
        assert story.effects_of_type(SetDependency) == [
            SetDependency(1, "#12", 1000, True, 1, 77, "1:x:#12"),
            SetDependency(1, "acme/web#3", 1001, True, 1, 77, "1:x:acme/web#3"),
        ]
        assert story.effects_of_type(AddReaction) == [AddReaction(77, "rocket")]
        assert story.comment_text() == ""

    def test_of_a_task_in_hand_it_is_said_that_its_holder_goes_on(self) -> None:
        story = Story().file_ready_task().assign()
        story.run_command("/depends #12", referenced_issues=self.named("#12"))
        assert story.comment_text() == "`codex` continues its work; the task waits only after it returns to the queue."

    @pytest.mark.parametrize(
        ("argument", "why"),
        [
            ("", "Name an issue: `/depends #12`."),
            ("remove", "Name an issue: `/depends remove #12`."),
            ("12", "`12` is not an issue. Write its number, as in `/depends #12` or `acme/shop#3`."),
            (" ".join(f"#{n}" for n in range(2, 23)), "Name at most 20 issues at once."),
            ("#77", "There is no issue #77."),
            ("acme/web#77", "There is no issue acme/web#77, or the App is not installed in its repository."),
            ("#1", "A task cannot depend on itself."),
            ("#5", "The task already depends on #5."),
            ("acme/web#3", "This would form a cycle: #1 → acme/web#3 → #4 → #1."),
        ],
    )
    def test_what_is_refused(self, argument: str, why: str) -> None:
        story = Story()
        story.dependencies = {"#5": True}
        story.file_ready_task()
        story.graph = {"acme/web#3": ("#4",), "#4": ("#1",)}
        story.run_command(f"/depends {argument}", referenced_issues=self.named("#1", "#5", "acme/web#3"))
        assert refused(story) == why

    def test_all_mistakes_are_named_at_once_and_nothing_is_done(self) -> None:
        story = Story().file_ready_task()
        story.run_command(
            "/depends #1 #7 #12", referenced_issues=self.named("#1", "#12") | self.named("#7", pull_request=True)
        )
        assert refused(story) == (
            "- A task cannot depend on itself.\n- #7 is a pull request. Name the issue that it works on."
        )

    def test_a_dry_run_tells_github_nothing(self) -> None:
        story = Story(dry_run=True).file_ready_task()
        story.run_command("/depends #12", referenced_issues=self.named("#12"))
        assert refused(story).startswith("Dry run")

    def test_a_task_that_is_over_waits_for_nothing(self) -> None:
        story = Story().file_ready_task()
        story.add_label("status:done")
        story.run_command("/depends #12", referenced_issues=self.named("#12"))
        assert refused(story) == "There is nothing to wait for: the task is done."

    def test_remove_takes_one_of_githubs_own_away(self) -> None:
        story = Story().file_ready_task()
        story.sources = {"#2": Source.BLOCKED_BY, "#3": Source.SUB_ISSUE, "#4": Source.TEXT, "#5": Source.REMOVED}
        issues = self.named("#2", "#3", "#4", "#5")
        story.run_command("/depends remove #2", role="triage", referenced_issues=issues)
        (effect,) = story.effects_of_type(SetDependency)
        assert (effect.reference, effect.issue_id, effect.is_present) == ("#2", 1000, False)
        for name, why in (
            ("#3", "#3 is a sub-issue of this issue. Remove it from the list of sub-issues."),
            ("#4", "#4 is named in the text of the issue. Remove it there."),
            ("#5", "The task does not depend on #5."),
        ):
            story.run_command(f"/depends remove {name}", referenced_issues=issues)
            assert refused(story) == why

    @pytest.mark.parametrize(
        ("wanted", "advice"),
        [
            (True, "Write a line `Depends on #12` into the text of the issue instead; it has the same effect."),
            (False, "Remove it in the sidebar of the issue."),
        ],
    )
    def test_a_refusal_by_github_is_reported_with_the_alternative(self, wanted: bool, advice: str) -> None:
        story = Story().file_ready_task()
        before = story.task
        story.apply(DependencyRefused(SetDependency(1, "#12", 5, wanted, 1, 77, "1:x:#12"), "Gone @all"))
        assert story.task == before
        assert story.effects_of_type(AddReaction) == [AddReaction(77, "confused")]
        assert story.comment_text().startswith(f"GitHub did not {'add' if wanted else 'remove'} the dependency on #12")
        assert story.comment_text().endswith(advice)
        assert "@all" not in story.comment_text()


class TestQueueBehind:
    def test_a_twin_waits_behind_the_other_and_goes_on_by_itself(self) -> None:
        story = Story()
        story.duplicates = (12,)
        story.referenced_tasks = {"#12": other()}
        story.see_issue()
        assert story.task.status is Status.PENDING
        story.run_command("/resolve queue")
        assert (story.task.status, story.task.is_assignable) == (Status.READY, False)
        assert story.task.flags[Flag.BLOCKED] == (
            "Waiting for #12: alice queued this task until #12 is over. To continue anyway, comment `/unblock`."
        )
        assert story.has_event(EventType.CONFLICT_RESOLVED)
        assert story.comment_text() == ""

        story.apply(BlockerCleared(3))
        assert story.task.hold, "of another task it is no news"
        story.duplicates = ()
        story.apply(BlockerCleared(12))
        assert (story.task.is_assignable, story.task.flags) == (True, {})

    def test_unblock_takes_it_back(self) -> None:
        story = Story()
        story.duplicates = (12,)
        story.referenced_tasks = {"#12": other()}
        story.see_issue()
        story.run_command("/resolve queue")
        story.run_command("/unblock", role="triage")
        assert (story.task.hold, story.task.status) == (None, Status.PENDING)
        assert story.task.readiness_problems[0].startswith("It is a duplicate of #12")

    def test_what_conflicts_with_its_base_waits_behind_the_one_that_is_named(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.report_trial_merge(clean=False, files=("a.py",))
        story.referenced_tasks = {"#12": other()}
        story.run_command("/resolve queue")
        assert refused(story) == "Name the task to wait for: `/resolve queue behind #12`."
        story.run_command("/resolve queue behind #12")
        assert (story.task.is_assignable, story.comment_text()) == (False, "")

    def test_without_a_conflict_it_says_what_it_does(self) -> None:
        story = Story().file_ready_task()
        story.referenced_tasks = {"#12": other()}
        story.run_command("/resolve queue")
        assert refused(story) == (
            "There is no conflict to resolve. To wait for another task anyway, comment `/resolve queue behind #12`."
        )
        story.run_command("/resolve queue behind #12")
        assert story.comment_text() == (
            "This task has no known conflicts. It waits anyway until #12 is done or closed."
        )
        assert not story.has_event(EventType.CONFLICT_RESOLVED)

    def test_the_agent_at_work_continues(self) -> None:
        story = Story().file_ready_task().assign()
        story.referenced_tasks = {"#12": other()}
        story.run_command("/resolve queue behind #12")
        assert story.comment_text().endswith(
            "`codex` may continue, but the bot merges nothing before #12 is done or closed."
        )

    @pytest.mark.parametrize(
        ("argument", "why"),
        [
            ("behind the other", "Name one task: `/resolve queue behind #12`."),
            ("behind #12 #13", "Name one task: `/resolve queue behind #12`."),
            ("behind #99", "#99 is not a task of this repository. To wait for any issue, comment `/depends #99`."),
            ("behind #1", "A task cannot wait for itself."),
            ("behind #13", "#13 is already over, so there is nothing to wait for."),
            ("behind #12", "#12 waits for this task itself: #1 → #12 → #1."),
        ],
    )
    def test_what_is_refused(self, argument: str, why: str) -> None:
        story = Story().file_ready_task()
        story.referenced_tasks = {"#1": other(1), "#12": other(), "#13": replace(other(13), issue_open=False)}
        story.graph = {"#12": ("#1",)}
        story.run_command(f"/resolve queue {argument}")
        assert refused(story) == why

    def test_what_a_person_blocked_stays_blocked(self) -> None:
        story = Story().file_ready_task()
        story.referenced_tasks = {"#12": other()}
        story.run_command("/block legal has to agree")
        story.run_command("/resolve queue behind #12")
        assert refused(story).startswith("Blocked by alice")
