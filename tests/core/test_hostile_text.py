"""Texts with hostile input: nothing from outside acts, and everything is bounded."""

from __future__ import annotations

from dataclasses import replace

from core import texts
from core.conflicts.pulls import FileConflict, Span, TrialMerge
from core.review.definition_of_done import done_blockers
from core.task.model import ChecksState, Pull, Task
from core.texts.checks import conflict_check
from tests.builders import (
    BASE_SHA,
    BOB,
    SHA,
    Story,
    body,
    failed_check,
)


def _pull() -> Pull:
    return Story().file_ready_task().reach_review().pull


class TestHostileText:
    EVIL = "@everybody closes #1 <img src=x> | `code` [a](http://x)"

    def task(self) -> Task:
        story = (
            Story().file_ready_task(title=self.EVIL, text=body(self.EVIL, (self.EVIL,), priority="P1")).reach_review()
        )
        story.report_checks(
            ChecksState.FAILURE, None, failed_check(self.EVIL, first_error=self.EVIL, failing_tests=(self.EVIL,))
        )
        return story.task

    def harmless(self, text: str) -> None:
        assert "@everybody" not in text
        assert "closes #1 " not in text
        assert "<img" not in text

    def test_in_the_card_and_the_answers(self) -> None:
        task = self.task()
        self.harmless(texts.card_text(task, Story().policy))
        self.harmless(texts.status_text(task, Story().policy))
        evil = Story().file_ready_task()
        evil.run_command(f"/escalate {self.EVIL}", author=BOB)
        self.harmless(evil.comment_text())

    def test_in_the_hand_off_when_it_is_written_as_a_comment(self) -> None:
        story = Story()
        story.current_task = self.task()
        self.harmless(texts.handoff_text(dict(story.assign().packet())))

    def test_in_checks(self) -> None:
        task = self.task()
        self.harmless(texts.done_check(task, done_blockers(task))[2])
        told = conflict_check(
            replace(_pull(), trial_merge=TrialMerge(BASE_SHA, False, (FileConflict("a|b", "c|d\n@all"),)))
        )
        row = next(line for line in told.summary.splitlines() if line.startswith("| `a"))
        assert row.replace("\\|", "").count("|") == 5
        assert "@all" not in told.summary

    def test_a_branch_name_is_no_command(self) -> None:
        pull = replace(_pull(), branch="x;curl$IFS`evil`")
        summary = conflict_check(replace(pull, trial_merge=TrialMerge(BASE_SHA, False, (FileConflict("a"),)))).summary
        assert "git switch 'x;curl$IFS`evil`'\n" in summary


class TestBounds:
    def test_no_comment_is_longer_than_github_takes_with_its_marker(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.report_checks(
            ChecksState.FAILURE, None, *(failed_check(f"check {n}", log_tail="x" * 6000) for n in range(20))
        )
        comment = story.comment_text()
        assert comment.endswith("… (cut off here)\n")
        assert len(comment + "\n" + texts.comment_marker(f"comment:1:ci:{SHA}")) <= 65_536

    def test_a_summary_of_a_thousand_files_is_cut(self) -> None:
        files = tuple(FileConflict(f"{n}/{'x' * 280}", own_lines=(Span(1, 2),) * 30) for n in range(1000))
        check = conflict_check(replace(_pull(), trial_merge=TrialMerge(BASE_SHA, False, files)))
        assert (check.conclusion, check.title) == ("failure", "Conflicts with main in 1000 files")
        assert len(check.summary) <= texts.SUMMARY_LIMIT
        assert len(check.annotations) == 50
