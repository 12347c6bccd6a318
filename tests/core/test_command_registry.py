"""The registry of commands: who may use which, and what their rules need."""

from __future__ import annotations

from dataclasses import fields

import pytest

from config.problems import nearest_word
from core.commands.parser import MULTILINE_COMMANDS, parse_commands
from core.commands.permissions import ROLES, has_role, permission_problem
from core.decide.builder import CommandContext
from core.decide.commands.agents import SUBCOMMANDS
from core.decide.commands.base import SIGNAL_NEEDS, Command, GlobalCommand, Need, TaskCommand
from core.decide.commands.registry import _COMMANDS, COMMANDS
from core.signals.base import CommandReceived
from core.task.model import Actor
from tests.builders import ALICE, MALLORY, Story


def test_every_command_is_listed_once_and_has_a_rule_of_its_own() -> None:
    rules = [command.rule for command in COMMANDS.values() if isinstance(command, TaskCommand | GlobalCommand)]
    assert len(set(rules)) == len(rules) == len(COMMANDS) == len(_COMMANDS)


def test_every_field_of_the_context_is_needed_and_every_need_is_a_field() -> None:
    needed = {need for command in COMMANDS.values() for need in command.needs}
    assert needed == set(Need)
    assert {need.value for need in needed - SIGNAL_NEEDS} == {field.name for field in fields(CommandContext)}
    assert {need.value for need in SIGNAL_NEEDS} <= {field.name for field in fields(CommandReceived)}


def test_every_multiline_command_is_a_command_or_one_of_its_forms() -> None:
    names = {name for name, command in COMMANDS.items()}
    forms = {f"{name} {word}" for name, command in COMMANDS.items() for word in command.forms}
    assert names | forms >= MULTILINE_COMMANDS


def test_agents_has_a_form_for_each_subcommand() -> None:
    assert COMMANDS["agents"].forms.keys() == SUBCOMMANDS.keys()


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
    allowed = [role for role in ROLES if permission_problem(name, COMMANDS[name], ALICE, role, None) is None]
    assert allowed == list(ROLES[ROLES.index(weakest) :])


def test_the_holder_may_release_the_task_in_any_role() -> None:
    story = Story().file_ready_task()
    story.run_command("/claim")
    assert permission_problem("release", COMMANDS["release"], ALICE, "read", story.task) is None
    assert permission_problem("retry", COMMANDS["retry"], ALICE, "read", story.task) is not None
    namesake = Actor(77, "alice")
    assert permission_problem("release", COMMANDS["release"], namesake, "read", story.task) is not None


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("read", "`/release` needs write access, or must be the holder; you have read access to this repository."),
        ("none", "`/release` needs write access, or must be the holder; you have no access to this repository."),
        ("boss", "`/release` needs write access, or must be the holder; you have no access to this repository."),
    ],
)
def test_a_refusal_says_what_is_needed(role: str, text: str) -> None:
    assert permission_problem("release", COMMANDS["release"], MALLORY, role, None) == text


def test_roles_that_github_does_not_name_count_as_none() -> None:
    assert not has_role("security-champion", "read")
    assert has_role("maintain", "write")


@pytest.mark.parametrize(
    ("typed", "meant"), [("retyr", "retry"), ("CLAIMED", "claim"), ("prio", "priority"), ("xyzzy", None)]
)
def test_the_nearest_command(typed: str, meant: str | None) -> None:
    assert nearest_word(typed, COMMANDS) == meant
