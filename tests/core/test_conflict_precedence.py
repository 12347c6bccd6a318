"""Which of two pull requests waits for the other."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.pulls import (
    CLEAN_MERGE_CONFIDENCE,
    DIFFERENT_FILES_CONFIDENCE,
    ConflictAction,
    ConflictResolution,
    ConflictSide,
    FileConflict,
    PullPair,
    Span,
    resolve_conflict,
)
from tests.builders import NOW

FIRST = ConflictSide(7, NOW, task=1)
LATER = ConflictSide(9, NOW + timedelta(minutes=5), task=2)


def conflict(one: ConflictSide, other: ConflictSide) -> ConflictResolution:
    return resolve_conflict(one, other, share_files=True, clean=False)


def test_different_files_go_on() -> None:
    found = resolve_conflict(FIRST, LATER, share_files=False, clean=True)
    assert (found.action, found.waiting_pull, found.confidence) == (
        ConflictAction.PROCEED,
        None,
        DIFFERENT_FILES_CONFIDENCE,
    )


def test_the_same_file_goes_on_where_a_real_merge_is_clean() -> None:
    found = resolve_conflict(FIRST, LATER, share_files=True, clean=True)
    assert (found.action, found.waiting_pull, found.confidence) == (
        ConflictAction.PROCEED,
        None,
        CLEAN_MERGE_CONFIDENCE,
    )


def test_the_later_one_waits() -> None:
    found = conflict(FIRST, LATER)
    assert (found.action, found.waiting_pull, found.reason) == (ConflictAction.QUEUE, 9, "It was opened later.")


def test_of_two_opened_in_the_same_second_the_higher_number_is_later() -> None:
    assert conflict(ConflictSide(9, NOW, task=2), FIRST).waiting_pull == 9


def test_what_depends_on_the_other_waits_whichever_came_first() -> None:
    found = conflict(ConflictSide(7, NOW, task=1, dependencies={2}), LATER)
    assert (found.waiting_pull, found.reason) == (7, "Its task depends on the task of the other pull request.")


def test_where_each_depends_on_the_other_a_person_decides() -> None:
    found = conflict(
        ConflictSide(7, NOW, task=1, dependencies={2}), ConflictSide(9, LATER.opened_at, task=2, dependencies=(1,))
    )
    assert (found.action, found.waiting_pull) == (ConflictAction.ESCALATE, None)


def test_an_urgent_one_does_not_wait_behind_what_is_less_urgent() -> None:
    urgent = ConflictSide(9, LATER.opened_at, task=2, rank=0)
    assert conflict(FIRST, urgent).waiting_pull == 7
    assert conflict(ConflictSide(7, NOW, task=1, rank=0), urgent).waiting_pull == 9, (
        "of two urgent ones the later waits"
    )


def test_what_is_no_task_cannot_be_held() -> None:
    somebodys = ConflictSide(9, LATER.opened_at)
    found = conflict(FIRST, somebodys)
    assert (found.waiting_pull, found.reason) == (
        7,
        "The later pull request belongs to no task, so the bot cannot hold it.",
    )


def test_where_neither_can_wait_a_person_decides() -> None:
    urgent = ConflictSide(9, LATER.opened_at, task=2, rank=0)
    found = conflict(ConflictSide(7, NOW), urgent)
    assert (found.action, found.waiting_pull) == (ConflictAction.ESCALATE, None)
    assert found.reason == "Neither can wait: one is a P0, the other belongs to no task."


def test_of_two_without_a_task_the_later_waits() -> None:
    assert conflict(ConflictSide(9, NOW), ConflictSide(7, NOW)).waiting_pull == 9


sides = st.builds(
    ConflictSide,
    pull=st.integers(1, 50),
    opened_at=st.integers(0, 3).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    task=st.none() | st.integers(1, 4),
    rank=st.integers(0, 2),
    dependencies=st.frozensets(st.integers(1, 4), max_size=2),
)


@given(one=sides, other=sides, shares=st.booleans(), clean=st.booleans())
def test_the_decision_does_not_depend_on_the_order(
    one: ConflictSide, other: ConflictSide, shares: bool, clean: bool
) -> None:
    if one.pull == other.pull:
        return
    found = resolve_conflict(one, other, share_files=shares, clean=clean)
    assert found == resolve_conflict(other, one, share_files=shares, clean=clean)
    assert (found.action is ConflictAction.QUEUE) == (found.waiting_pull is not None)
    assert found.waiting_pull in (None, one.pull, other.pull)
    if found.waiting_pull is not None:
        waiting = one if found.waiting_pull == one.pull else other
        assert waiting.task is not None or one.task is other.task is None, "only a task is ours to hold"


def test_each_of_a_pair_sees_its_own_lines() -> None:
    pair = PullPair(7, 9, "a", "b", (FileConflict("x", own_lines=(Span(1, 2),), other_lines=(Span(5, 6),)),))
    assert pair.files_for(7)[0].own_lines == (Span(1, 2),)
    assert pair.files_for(9)[0].own_lines == (Span(5, 6),)
    assert (pair.other_number(7), pair.other_number(9)) == (9, 7)
