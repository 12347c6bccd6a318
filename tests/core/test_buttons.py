"""The buttons of our checks: GitHub takes them, and each stands for a command that there is."""

from __future__ import annotations

import pytest

from core.commands.buttons import COMMAND_BY_BUTTON, CONFLICT_BUTTONS, Button
from core.decide.commands.registry import COMMANDS
from core.effects.base import CheckRun, Comment
from core.task.model import Flag
from tests.builders import MALLORY, Story


def test_github_takes_them() -> None:
    assert 0 < len(CONFLICT_BUTTONS) <= 3  # GitHub shows no more
    assert len({button.identifier for button in CONFLICT_BUTTONS}) == len(CONFLICT_BUTTONS)
    for text in ("", "x" * 21):
        with pytest.raises(ValueError, match="the label of a button has 1 to 20 characters"):
            Button(text, "d", "i")
    with pytest.raises(ValueError, match="the description of a button"):
        Button("l", "x" * 41, "i")


def test_each_stands_for_a_command() -> None:
    assert {button.identifier for button in CONFLICT_BUTTONS} == set(COMMAND_BY_BUTTON)
    assert {name for name, _ in COMMAND_BY_BUTTON.values()} <= set(COMMANDS)


def test_a_conflict_has_them_and_what_merges_has_none() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge()
    assert [check.actions for check in story.effects_of_type(CheckRun)] == [()]
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge(False, files=("shop/a.py",))
    assert [check.actions for check in story.effects_of_type(CheckRun)] == [CONFLICT_BUTTONS]


def test_hold_says_how_it_is_lifted_and_to_whom() -> None:
    story = Story().file_ready_task().reach_review()
    story.run_command("/pause", from_button=True)
    assert story.comment_text() == "@alice: #1 is paused. To continue, comment `/resume`."
    assert "Paused by alice" in story.task.flags[Flag.BLOCKED]
    story.run_command("/resume")
    story.run_command("/pause")
    assert not story.effects_of_type(Comment), "a comment gets a reaction"


def test_a_refusal_names_the_user_who_pressed() -> None:
    story = Story().file_ready_task().reach_review()
    story.run_command("/pause", MALLORY, "read", from_button=True)
    assert story.comment_text() == "@mallory: `/pause` needs triage access; you have read access to this repository."
    assert not story.task.hold
