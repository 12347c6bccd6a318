"""The answer to `/conflicts`: the open pull requests against each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.conflicts.pulls import FileConflict, OpenPull, PullPair, TrialMerge
from core.texts.matrix import MAX_TABLE_PULLS, matrix_text
from tests.builders import BASE_SHA, NOW, OTHER_SHA, SHA, Story
from tests.core.test_texts import same

CLEAN = TrialMerge(BASE_SHA, True)


def flight(number: int, task: int | None = None, **changes: object) -> OpenPull:
    opened = NOW + timedelta(minutes=number)
    plain = OpenPull(number, task, "A title", f"task/{task}-1", "main", SHA, "", "mona", opened, trial_merge=CLEAN)
    return replace(plain, **changes)  # type: ignore[arg-type]  # of whatever field


def pair(one: int, other: int, *paths: str) -> PullPair:
    return PullPair(one, other, SHA, OTHER_SHA, tuple(FileConflict(path) for path in paths))


def test_the_table() -> None:
    flights = [
        flight(7, 1),
        flight(9, 2),
        flight(11, rank=0),
        flight(12, 4, trial_merge=TrialMerge(BASE_SHA, False)),
        flight(13, 5, trial_merge=None),
        flight(14, 6, base="release"),
    ]
    pairs = [pair(7, 9, "shop/a.py"), pair(9, 11, "x|y", "@all", "b", "c"), pair(7, 11), pair(9, 99, "gone")]
    story = Story().file_ready_task().reach_review()
    same("conflicts_table", matrix_text(flights, pairs, story.task, ["It is in the way."], "The trial."))


def test_the_order_is_of_what_is_ready() -> None:
    flights = [flight(7, 1), flight(9, 2), flight(11, 3), flight(12, 4, draft=True), flight(13, 5, checks_passed=False)]
    text = matrix_text(flights, [pair(7, 9, "a"), pair(7, 11, "a")], None, (), None)
    assert "fewest conflicts: #9, #11, #7. These will conflict: #7." in text
    assert text.startswith("### Open pull requests"), "asked elsewhere it is about all"


def test_what_depends_on_another_comes_after_it() -> None:
    flights = [flight(7, 1, dependencies=(2,)), flight(9, 2)]
    assert "fewest conflicts: #9, #7." in matrix_text(flights, [], None, (), None)


def test_of_many_only_the_conflicts_are_shown() -> None:
    flights = [flight(number) for number in range(1, MAX_TABLE_PULLS + 2)]
    text = matrix_text(flights, [pair(1, 2, "a"), pair(2, 3)], None, (), None)
    assert (
        "13 pull requests are open. Pairs that conflict: 1. Pairs that change the same file and merge cleanly: 1."
        in text
    )
    assert "- #1 and #2 in `a`: #1 was opened first" in text
    assert "| --- |" not in text


def test_none_or_one_is_said_in_a_sentence() -> None:
    assert matrix_text([], [], None, (), None) == "There are no open pull requests.\n"
    assert matrix_text([flight(7)], [], None, (), None) == "There is only one open pull request.\n"


def test_a_thousand_fit_into_a_comment() -> None:
    flights = [flight(number) for number in range(1, 1001)]
    pairs = [pair(number, number + 1, "x" * 300) for number in range(1, 1000)]
    assert len(matrix_text(flights, pairs, None, (), None)) <= 65_000
