"""A team's own words for priorities, put on and taken off while the task lives."""

from __future__ import annotations

import pytest

from core.audit.events import EventType
from core.effects.base import SetLabels
from core.task.model import Priority
from tests.builders import BOB, Story, body

WORDS = {"priorities": {"critical": "P0", "bug": "P1"}}


def test_a_word_that_is_put_on_later_counts_and_taken_off_what_was_before_counts_again() -> None:
    story = Story(**WORDS).ready()
    story.labelled("Critical", BOB)
    assert (story.task.priority, story.told(EventType.INSTRUCTION)) == (Priority.P0, True)
    assert "P0" in story.wanted(SetLabels)[0].labels
    story.unlabelled("Critical", BOB)
    assert (story.task.priority, story.told(EventType.INSTRUCTION)) == (Priority.P2, True)


def test_what_the_text_says_counts_again() -> None:
    story = Story(**WORDS).ready(text=body(priority="P1"), labels=("task", "critical"))
    assert story.task.priority is Priority.P0
    story.unlabelled("critical")
    assert story.task.priority is Priority.P1


def test_of_two_words_the_other_counts_on() -> None:
    story = Story(**WORDS).ready(labels=("task", "critical", "bug", "P0"))
    story.unlabelled("bug")
    assert story.task.priority is Priority.P0
    story.labelled("bug")
    assert story.task.priority is Priority.P1, "what was said last"
    story.labelled("critical")
    story.unlabelled("critical")
    assert story.task.priority is Priority.P1, "by the word that is left, not by the label of ours beside it"


@pytest.mark.parametrize("how", ["command", "label"])
def test_what_a_person_says_beside_the_word_stays_whatever_is_read_again(how: str) -> None:
    story = Story(**WORDS).ready(labels=("task", "critical"))
    if how == "command":
        story.says("/priority P2")
    else:
        story.labelled("P2")
    assert story.task.priority is Priority.P2
    story.issue_seen(None)
    story.issue_seen(text=body("Sell pears."))
    assert story.task.priority is Priority.P2
    assert not {"P0", "critical"} & set(story.wanted(SetLabels)[0].labels if story.wanted(SetLabels) else ())
    story.unlabelled("critical")
    assert story.task.priority is Priority.P2, "it was not by that word any more"


def test_both_from_the_start_the_more_urgent_counts() -> None:
    assert Story(**WORDS).ready(labels=("task", "critical", "P2")).task.priority is Priority.P0
