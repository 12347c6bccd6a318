"""The registry of commands: who may use which, and what a mistyped word meant."""

from __future__ import annotations

import pytest

from config.problems import nearest_word
from core.commands.parser import parse_commands
from core.commands.registry import COMMANDS, ROLES, Command, has_role, permission_problem
from core.decide.commands import GLOBAL_RULES, RULES
from core.task.model import Actor
from tests.builders import ALICE, MALLORY, Story


def test_every_command_has_a_rule_and_every_rule_a_command() -> None:
    assert RULES.keys() | GLOBAL_RULES.keys() == set(COMMANDS)
    assert not RULES.keys() & GLOBAL_RULES.keys()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_command_explains_itself(command: Command) -> None:

    assert command.help.endswith(".")
    assert command.role in ROLES
    (parsed,) = parse_commands(command.example, COMMANDS)
    assert parsed.name == command.name


@pytest.mark.parametrize(
    ("name", "weakest"),
    [
        ("help", "none"),
        ("status", "none"),
        ("explain", "none"),
        ("claim", "write"),
        ("release", "write"),
        ("ready", "triage"),
        ("priority", "triage"),
        ("retry", "write"),
        ("complete", "write"),
    ],
)
def test_who_may_use_it(name: str, weakest: str) -> None:
    allowed = [role for role in ROLES if permission_problem(COMMANDS[name], ALICE, role, None) is None]
    assert allowed == list(ROLES[ROLES.index(weakest) :])


def test_the_holder_may_release_the_task_in_any_role() -> None:
    story = Story().file_ready_task()
    story.run_command("/claim")
    assert permission_problem(COMMANDS["release"], ALICE, "read", story.task) is None
    assert permission_problem(COMMANDS["retry"], ALICE, "read", story.task) is not None
    namesake = Actor(77, "alice")
    assert permission_problem(COMMANDS["release"], namesake, "read", story.task) is not None


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("read", "`/release` needs write access, or must be the holder; you have read access to this repository."),
        ("none", "`/release` needs write access, or must be the holder; you have no access to this repository."),
        ("boss", "`/release` needs write access, or must be the holder; you have no access to this repository."),
    ],
)
def test_a_refusal_says_what_is_needed(role: str, text: str) -> None:
    assert permission_problem(COMMANDS["release"], MALLORY, role, None) == text


def test_roles_that_github_does_not_name_count_as_none() -> None:
    assert not has_role("security-champion", "read")
    assert has_role("maintain", "write")


@pytest.mark.parametrize(
    ("typed", "meant"), [("retyr", "retry"), ("CLAIMED", "claim"), ("prio", "priority"), ("xyzzy", None)]
)
def test_the_nearest_command(typed: str, meant: str | None) -> None:
    assert nearest_word(typed, COMMANDS) == meant
