"""Definition of Done, and what must be true before we merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.review.definition_of_done import done_blockers, merge_blockers, review_blocker
from core.task.model import Approval, ChecksState, Task
from tests.builders import OTHER_SHA, SHA, Story, body

OPEN: dict[str, Any] = {"merged": False, "mergeable_sha": SHA}
MERGED: dict[str, Any] = {"merged": True, "open": False}


def task(*, ticked: bool = True, criteria: tuple[str, ...] = ("a", "b"), **pull: Any) -> Task:
    story = Story().file_ready_task(text=body(criteria=criteria, ticked=ticked)).reach_review()
    return replace(story.task, pull=replace(story.pull, **{"checks": ChecksState.SUCCESS, **pull}))


@pytest.mark.parametrize("state", [ChecksState.SUCCESS, ChecksState.NONE])
def test_done_is_merged_with_passing_checks_and_every_criterion_ticked(state: ChecksState) -> None:
    assert done_blockers(task(**MERGED, checks=state)) == ()


@pytest.mark.parametrize(
    ("changes", "gaps"),
    [
        ({}, ("The pull request is not merged.",)),
        ({**MERGED, "checks": ChecksState.FAILURE}, ("Checks failed on the head commit.",)),
        ({**MERGED, "checks": ChecksState.PENDING}, ("The checks on the head commit have not finished.",)),
        (
            {**MERGED, "ticked": False},
            ("2 of 2 acceptance criteria are not ticked: “a”; “b”.",),
        ),
        (
            {**MERGED, "ticked": False, "criteria": tuple("abcdefg")},
            ("7 of 7 acceptance criteria are not ticked: “a”; “b”; “c”; “d”; “e”; and 2 more.",),
        ),
    ],
)
def test_what_keeps_it_from_being_done(changes: dict[str, Any], gaps: tuple[str, ...]) -> None:
    assert done_blockers(task(**changes)) == gaps


def test_without_a_pull_request_nothing_is_done() -> None:
    without = replace(task(), pull=None)
    assert done_blockers(without) == ("There is no pull request.",)
    assert merge_blockers(without, "none") == ("There is no open pull request.",)


def test_criteria_that_were_taken_out_do_not_count_as_ticked() -> None:
    story = Story().file_ready_task().reach_review()
    story.see_issue(text=body(criteria=()))
    assert "The task has no acceptance criteria." in done_blockers(story.task)


def test_a_quoted_criterion_sends_no_notification() -> None:
    assert "@everybody" not in done_blockers(task(**MERGED, ticked=False, criteria=("thank @everybody",)))[0]


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({**OPEN}, None),
        ({**OPEN, "draft": True}, "The pull request is a draft."),
        ({**OPEN, "mergeable_sha": OTHER_SHA}, "This commit has had no trial merge with its base yet."),
        ({**OPEN, "checks": ChecksState.FAILURE}, "Checks failed on the head commit."),
        ({**OPEN, "ticked": False, "criteria": ("a",)}, "1 of 1 acceptance criteria are not ticked: “a”."),
    ],
)
def test_what_keeps_it_from_being_merged(changes: dict[str, Any], gap: str | None) -> None:
    assert merge_blockers(task(**changes), "none") == ((gap,) if gap else ())


def test_what_a_stranger_wrote_or_ticked_merges_nothing() -> None:
    known = replace(task(**OPEN), approved_digest="of an earlier text")
    (gap,) = merge_blockers(known, "none")
    assert "`/ready`" in gap


PERSON, BOT = Approval(SHA, by_bot=False), Approval(SHA, by_bot=True)


@pytest.mark.parametrize(
    ("required", "approvals", "enough"),
    [
        ("none", {}, True),
        ("person", {}, False),
        ("person", {5: BOT}, False),
        ("person", {5: BOT, 2: PERSON}, True),
        ("person", {2: Approval(OTHER_SHA, by_bot=False)}, False),
        ("agent", {}, False),
        ("agent", {5: BOT}, False),
        ("agent", {5: Approval(SHA, by_bot=True, agent="critic")}, True),
        ("person", {5: Approval(SHA, by_bot=True, agent="critic")}, False),
        ("agent", {2: PERSON}, True),
        ("agent", {5: Approval(OTHER_SHA, by_bot=True)}, False),
    ],
)
def test_whose_approval_counts(required: str, approvals: dict[int, Approval], enough: bool) -> None:
    pull = task(approvals=approvals).pull
    assert pull
    assert (review_blocker(pull, required) is None) is enough
