"""A team's own words for priorities, put on and taken off while the task lives."""

from __future__ import annotations

import pytest

from core.audit.events import EventType
from core.effects.base import SetLabels
from core.task.model import Priority
from tests.builders import BOB, Story, body

WORDS = {"priorities": {"critical": "P0", "bug": "P1"}}


def test_a_word_that_is_put_on_later_counts_and_taken_off_what_was_before_counts_again() -> None:
    story = Story(**WORDS).file_ready_task()
    story.add_label("Critical", BOB)
    assert (story.task.priority, story.has_event(EventType.INSTRUCTION)) == (Priority.P0, True)
    assert "P0" in story.effects_of_type(SetLabels)[0].labels
    story.remove_label("Critical", BOB)
    assert (story.task.priority, story.has_event(EventType.INSTRUCTION)) == (Priority.P2, True)


def test_what_the_text_says_counts_again() -> None:
    story = Story(**WORDS).file_ready_task(text=body(priority="P1"), labels=("task", "critical"))
    assert story.task.priority is Priority.P0
    story.remove_label("critical")
    assert story.task.priority is Priority.P1


def test_of_two_words_the_other_counts_on() -> None:
    story = Story(**WORDS).file_ready_task(labels=("task", "critical", "bug", "P0"))
    story.remove_label("bug")
    assert story.task.priority is Priority.P0
    story.add_label("bug")
    assert story.task.priority is Priority.P1, "what was said last"
    story.add_label("critical")
    story.remove_label("critical")
    assert story.task.priority is Priority.P1, "by the word that is left, not by the label of ours beside it"


@pytest.mark.parametrize("how", ["command", "label"])
def test_what_a_person_says_beside_the_word_stays_whatever_is_read_again(how: str) -> None:
    story = Story(**WORDS).file_ready_task(labels=("task", "critical"))
    if how == "command":
        story.run_command("/priority P2")
    else:
        story.add_label("P2")
    assert story.task.priority is Priority.P2
    story.see_issue(None)
    story.see_issue(text=body("Sell pears."))
    assert story.task.priority is Priority.P2
    assert not {"P0", "critical"} & set(
        story.effects_of_type(SetLabels)[0].labels if story.effects_of_type(SetLabels) else ()
    )
    story.remove_label("critical")
    assert story.task.priority is Priority.P2, "it was not by that word any more"


def test_both_from_the_start_the_more_urgent_counts() -> None:
    assert Story(**WORDS).file_ready_task(labels=("task", "critical", "P2")).task.priority is Priority.P0
