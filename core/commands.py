"""The slash commands: each one registered once, with its help, who may use it, and an example.

`/help`, the documentation, the permission check and the hint for a mistyped word are all made from this table.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from config.identities import is_of_family
from core.task import Actor, Lease, Task

ROLES = ("none", "read", "triage", "write", "maintain", "admin")  # GitHub's, weakest first


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command. `role` is the weakest role on the repository that may use it."""

    name: str
    role: str
    help: str
    example: str
    holder_too: bool = False  # whoever holds the task may use it, whatever the role


COMMANDS: dict[str, Command] = {
    c.name: c
    for c in (
        Command("help", "none", "Lists the commands you can use.", "/help"),
        Command("status", "none", "Says where this task stands and what it waits for.", "/status"),
        Command("explain", "none", "Shows why this agent was chosen, or why nobody was.", "/explain"),
        Command("claim", "write", "Takes the task yourself and gives you the hand-off.", "/claim", holder_too=True),
        Command("release", "write", "Gives the task back to the queue.", "/release", holder_too=True),
        Command("ready", "triage", "Checks the task again; from a writer it also approves its text.", "/ready"),
        Command("priority", "triage", "Sets the priority to P0, P1 or P2.", "/priority P0"),
        Command("retry", "write", "Starts over with a clean slate of attempts.", "/retry"),
        Command(
            "complete",
            "write",
            "Checks whether the task is done and says what is missing.",
            "/complete",
            True,
        ),
    )
}


def at_least(role: str, required: str) -> bool:
    """Whether `role` is `required` or stronger. A role GitHub did not name (a custom one) counts as none."""
    return required == "none" or (role in ROLES and ROLES.index(role) >= ROLES.index(required))


def holds(lease: Lease | None, actor: Actor, family: str | None) -> bool:
    """Whether the lease is this actor's: of the person who claimed, or of an agent of the account's `family`."""
    if lease is None:
        return False
    return (
        lease.holder_id == actor.id
        if lease.holder_id is not None
        else bool(family and is_of_family(lease.agent, family))
    )


def refusal(command: Command, actor: Actor, role: str, task: Task | None, family: str | None = None) -> str | None:
    """Why this actor may not use the command now, or None. `family` names the agents that act by this account."""
    held = task is not None and (holds(task.lease, actor, family) or holds(task.review, actor, family))
    if at_least(role, command.role) or (command.holder_too and held):
        return None
    who = f"{command.role} access" + (", or whoever holds the task" if command.holder_too else "")
    return f"`/{command.name}` needs {who}; you have {role if role in ROLES[1:] else 'no'} access to this repository."


def nearest(word: str) -> str | None:
    """The command that somebody who typed `word` most likely meant."""
    found = difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=0.5)
    return found[0] if found else None
