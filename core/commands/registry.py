"""Registers the slash commands, each once, with help, required role and example.

`/help`, the documentation, the permission check and the hint for a mistyped word are made from this table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.task.model import Actor, Lease, Task

ROLES = ("none", "read", "triage", "write", "maintain", "admin")  # GitHub's, weakest first


@dataclass(frozen=True, slots=True)
class CommandForm:
    """One form of a command: what it does, who may use it, and an example.

    `role` is the weakest role on the repository that may use it; a user without a role has `none`.
    """

    role: str
    help: str
    example: str
    allows_holder: bool = False  # the holder of the task may use it, whatever the role
    is_multiline: bool = False  # its argument is the rest of the comment


@dataclass(frozen=True, slots=True)
class Command(CommandForm):
    """One slash command. The first word of its argument can select another form, as in `/agents drain …`."""

    forms: Mapping[str, CommandForm] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The word after the slash."""
        return self.example.removeprefix("/").partition(" ")[0]

    def resolve_form(self, argument: str) -> tuple[str, CommandForm]:
        """The form that an argument selects, and its name."""
        word = argument.strip().partition(" ")[0].lower()
        return (f"{self.name} {word}", self.forms[word]) if word in self.forms else (self.name, self)

    @property
    def all_forms(self) -> tuple[CommandForm, ...]:
        """All its forms."""
        return (self, *self.forms.values())


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("none", "Lists the commands you can use.", "/help"),
        Command("none", "Shows the state of this task and what it waits for.", "/status"),
        Command(
            "none",
            "Shows why the bot chose this agent, or none; with a number, for an earlier attempt.",
            "/explain",
        ),
        Command("none", "Shows the last entries of this task's audit log.", "/history"),
        Command(
            "none",
            "Shows which open pull requests conflict, and the conflicts of this task.",
            "/conflicts",
        ),
        Command("none", "Shows the first tasks in the queue and the agent that would get each.", "/next"),
        Command(
            "none",
            "Shows the agents: capabilities, current tasks and state.",
            "/agents",
            forms={
                "add": CommandForm(
                    "write",
                    "Adds an agent; the settings are those of the configuration file.",
                    "/agents add codex adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2",
                ),
                "set": CommandForm(
                    "write", "Changes settings of an agent; `key=` removes one.", "/agents set codex max_tasks=3"
                ),
                "drain": CommandForm(
                    "write", "Stops giving an agent new tasks; its current tasks continue.", "/agents drain codex"
                ),
                "resume": CommandForm(
                    "write",
                    "Makes a drained or removed agent available again, or ends the pause of a failed one.",
                    "/agents resume codex",
                ),
                "remove": CommandForm(
                    "write", "Removes an agent; it finishes its current tasks.", "/agents remove codex"
                ),
                "reset": CommandForm("write", "Restores an agent's configured settings.", "/agents reset codex"),
            },
        ),
        Command("write", "Takes the task yourself and shows the hand-off.", "/claim", True),
        Command("write", "Returns the task to the queue.", "/release", True),
        Command("write", "Reports that the holder is still working.", "/heartbeat", True),
        Command("write", "Reports progress; the task card shows it.", "/progress half of the tests pass", True),
        Command(
            "write",
            "Hands in the work: the bot checks the pull request, even if it is a draft.",
            "/review",
            allows_holder=True,
            forms={
                "approve": CommandForm(
                    "write",
                    "Approves the current commit of the pull request.",
                    "/review approve Well tested.",
                    True,
                    True,
                ),
                "changes": CommandForm(
                    "write",
                    "Requests changes; the next hand-off contains the rest of the comment.",
                    "/review changes The total is wrong for an empty cart.",
                    True,
                    True,
                ),
            },
        ),
        Command(
            "write",
            "Sets the plan for the implementing agent; the rest of the comment is the plan.",
            "/plan First the table of rates, then the total.",
            allows_holder=True,
            is_multiline=True,
        ),
        Command("write", "Checks whether the task is done and lists what is missing.", "/complete", True),
        Command(
            "write",
            "Ends the attempt as failed; the next hand-off contains the reason.",
            "/fail the API has no such call",
            True,
        ),
        Command(
            "triage",
            "Makes the issue a task; with write access it also approves the text. A template fills in missing "
            "sections.",
            "/task bug",
        ),
        Command(
            "triage", "Checks whether the task is ready and shows the hand-off that an agent would receive.", "/prep"
        ),
        Command("triage", "Checks the task again; with write access it also approves the text.", "/ready"),
        Command("triage", "Sets the priority to P0, P1 or P2.", "/priority P0"),
        Command("triage", "Adds a required capability.", "/needs python"),
        Command(
            "triage",
            "Makes the task wait for other issues, in any repository.",
            "/depends #12",
            forms={
                "remove": CommandForm("triage", "Stops waiting for these issues.", "/depends remove #12"),
            },
        ),
        Command(
            "triage",
            "Puts the task on hold: the bot neither assigns nor merges it.",
            "/block legal has to agree",
        ),
        Command("triage", "Lifts `/block`.", "/unblock"),
        Command("triage", "Puts the task on hold as `/block` does and stops the clock of the attempt.", "/pause"),
        Command("triage", "Lifts `/pause`; the attempt continues with its remaining time.", "/resume"),
        Command("write", "Assigns the task to this agent now.", "/assign codex"),
        Command("write", "Takes the task from its holder and assigns it to another agent.", "/reassign claude"),
        Command("write", "Starts over and resets the number of attempts.", "/retry"),
        Command(
            "write",
            "Resolves a conflict by giving the task to another agent.",
            "/resolve reassign",
            forms={
                "queue": CommandForm(
                    "write",
                    "Makes the task wait until the other is done or closed; `/unblock` undoes this.",
                    "/resolve queue behind #12",
                ),
                "escalate": CommandForm("write", "Asks a person to decide about the conflict.", "/resolve escalate"),
                "rebase": CommandForm(
                    "write",
                    "Merges the base into the pull request's branch; if they conflict, the bot tells the agent.",
                    "/resolve rebase",
                ),
                "ignore": CommandForm("write", "Ignores the conflict for a day.", "/resolve ignore"),
            },
        ),
        Command("write", "Calls for a person.", "/escalate the staging server is down"),
        Command("write", "Acknowledges a call for a person: you take it.", "/ack"),
        Command(
            "write",
            "Opens a retrospective now, on the tasks done since the last one or since a given time.",
            "/retro since 7d",
            forms={
                "answer": CommandForm(
                    "write",
                    "Adds the answer of an agent that cannot write to the retrospective itself.",
                    "/retro answer codex The fixtures were nowhere described.",
                    is_multiline=True,
                ),
            },
        ),
    )
}


# Commands, some with their first word, whose argument is the rest of the comment.
MULTILINE_COMMANDS = frozenset(
    name
    for command in COMMANDS.values()
    for name, use in ((command.name, command), *((f"{command.name} {word}", u) for word, u in command.forms.items()))
    if use.is_multiline
)


def has_role(role: str, required: str) -> bool:
    """Whether `role` is `required` or stronger. An unknown role (a custom one) counts as none."""
    return required == "none" or (role in ROLES and ROLES.index(role) >= ROLES.index(required))


def is_lease_holder(lease: Lease | None, actor: Actor, agent_names: Collection[str] | None) -> bool:
    """Whether this actor holds the lease: the person who claimed the task, or the account of one of the agents."""
    if lease is None:
        return False
    return lease.holder_id == actor.id if lease.worker is None else lease.worker in (agent_names or ())


def permission_problem(
    command: Command,
    actor: Actor,
    role: str,
    task: Task | None,
    agent_names: Collection[str] | None = None,
    argument: str = "",
) -> str | None:
    """Why this actor may not use the command now, or None. `workers` are the agents that use this account."""
    command_name, form = command.resolve_form(argument)
    holds_task = task is not None and (
        is_lease_holder(task.lease, actor, agent_names) or is_lease_holder(task.review_lease, actor, agent_names)
    )
    if has_role(role, form.role) or (form.allows_holder and holds_task):
        return None
    requirement = f"{form.role} access" + (", or must be the holder" if form.allows_holder else "")
    access = role if role in ROLES[1:] else "no"
    return f"`/{command_name}` needs {requirement}; you have {access} access to this repository."
