"""The slash commands: each one registered once, with its help, who may use it, and an example.

`/help`, the documentation, the permission check and the hint for a mistyped word are all made from this table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.task.model import Actor, Lease, Task

ROLES = ("none", "read", "triage", "write", "maintain", "admin")  # GitHub's, weakest first


@dataclass(frozen=True, slots=True)
class Use:
    """One way to use a command: what it does, who may do it, and an example.

    `role` is the weakest role on the repository that may; anyone has `none`.
    """

    role: str
    help: str
    example: str
    holder_too: bool = False  # whoever holds the task may, whatever the role
    whole: bool = False  # its argument is all that follows in the comment


@dataclass(frozen=True, slots=True)
class Command(Use):
    """One slash command. The first word of its argument can make it another use, `/agents drain …`."""

    forms: Mapping[str, Use] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The word after the slash."""
        return self.example.removeprefix("/").partition(" ")[0]

    def use(self, argument: str) -> tuple[str, Use]:
        """Which use of the command an argument makes, and how it is called."""
        word = argument.strip().partition(" ")[0].lower()
        return (f"{self.name} {word}", self.forms[word]) if word in self.forms else (self.name, self)

    @property
    def uses(self) -> tuple[Use, ...]:
        """All its uses."""
        return (self, *self.forms.values())


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("none", "Lists the commands you can use.", "/help"),
        Command("none", "Says where this task stands and what it waits for.", "/status"),
        Command(
            "none",
            "Shows why this agent was chosen, or why nobody was; with a number, of an earlier attempt.",
            "/explain",
        ),
        Command("none", "Shows what happened to this task: the last lines of its audit trail.", "/history"),
        Command(
            "none",
            "Shows all open pull requests against each other, and what is in the way of this task.",
            "/conflicts",
        ),
        Command("none", "Shows the head of the queue, and whom each task would go to.", "/next"),
        Command(
            "none",
            "Shows the agents: what they can do, what they have in hand, how they are.",
            "/agents",
            forms={
                "add": Use(
                    "write",
                    "Adds an agent, with the settings it would have in the configuration.",
                    "/agents add codex adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2",
                ),
                "set": Use(
                    "write", "Changes settings of an agent; `key=` takes one out.", "/agents set codex max_tasks=3"
                ),
                "drain": Use(
                    "write", "Gives an agent no new task; what it has in hand goes on.", "/agents drain codex"
                ),
                "resume": Use(
                    "write",
                    "Takes a drained or removed agent in again; of one that failed or cools down it ends the pause.",
                    "/agents resume codex",
                ),
                "remove": Use("write", "Takes an agent out; what it has in hand it finishes.", "/agents remove codex"),
                "reset": Use("write", "Forgets what was changed against the configuration.", "/agents reset codex"),
            },
        ),
        Command("write", "Takes the task yourself and gives you the hand-off.", "/claim", True),
        Command("write", "Gives the task back to the queue.", "/release", True),
        Command("write", "Says that whoever holds the task is alive.", "/heartbeat", True),
        Command("write", "Says how the work goes; the task card shows it.", "/progress half of the tests pass", True),
        Command(
            "write",
            "Hands the work in: the pull request is looked at, also one that is a draft.",
            "/review",
            holder_too=True,
            forms={
                "approve": Use(
                    "write", "Approves the pull request as it stands.", "/review approve Well tested.", True, True
                ),
                "changes": Use(
                    "write",
                    "Asks for changes; all that follows in the comment is handed on with the task.",
                    "/review changes The total is wrong for an empty cart.",
                    True,
                    True,
                ),
            },
        ),
        Command(
            "write",
            "Gives the plan for those who implement the task; all that follows in the comment is part of it.",
            "/plan First the table of rates, then the total.",
            holder_too=True,
            whole=True,
        ),
        Command("write", "Checks whether the task is done and says what is missing.", "/complete", True),
        Command(
            "write",
            "Ends the attempt as failed; the next one is told the reason.",
            "/fail the API has no such call",
            True,
        ),
        Command(
            "triage",
            "Makes the issue a task, and from a writer approves its text; a template fills in what that leaves out.",
            "/task bug",
        ),
        Command("triage", "Checks whether the task is ready, and shows the hand-off that an agent would get.", "/prep"),
        Command("triage", "Checks the task again; from a writer it also approves its text.", "/ready"),
        Command("triage", "Sets the priority to P0, P1 or P2.", "/priority P0"),
        Command("triage", "Adds a capability that the agent must have.", "/needs python"),
        Command(
            "triage",
            "Lets the task wait for other issues, also of other repositories.",
            "/depends #12",
            forms={
                "remove": Use("triage", "Lets it no longer wait for them.", "/depends remove #12"),
            },
        ),
        Command(
            "triage",
            "Holds the task back: it is not handed out, and its work is not merged.",
            "/block legal has to agree",
        ),
        Command("triage", "Lifts `/block`.", "/unblock"),
        Command("triage", "Holds the task back as `/block` does, and stops the clock of whoever is at work.", "/pause"),
        Command("triage", "Lifts `/pause`: the time for the attempt runs on with what was left.", "/resume"),
        Command("write", "Gives the task to this agent now.", "/assign codex"),
        Command("write", "Takes the task from whoever holds it and gives it to another agent.", "/reassign claude"),
        Command("write", "Starts over with a clean slate of attempts.", "/retry"),
        Command(
            "write",
            "Decides what becomes of a task with a conflict.",
            "/resolve reassign",
            forms={
                "queue": Use(
                    "write",
                    "Lets the task wait behind the other one until that is done or closed; `/unblock` takes it back.",
                    "/resolve queue behind #12",
                ),
                "escalate": Use("write", "Lets a person decide about the conflict.", "/resolve escalate"),
                "rebase": Use(
                    "write",
                    "Merges the base into the branch of the pull request; where that conflicts, its agent is told.",
                    "/resolve rebase",
                ),
                "ignore": Use("write", "Lets the task go on in spite of the conflict, for a day.", "/resolve ignore"),
            },
        ),
        Command("write", "Calls a person.", "/escalate nobody can reach the staging server"),
        Command("write", "Says that somebody looks after what a person was called for.", "/ack"),
        Command(
            "write",
            "Holds a retrospective now, on what was done since the last one or since a day or a while ago.",
            "/retro since 7d",
            forms={
                "answer": Use(
                    "write",
                    "Adds an agent's answer to the retrospective, for one that cannot write it itself.",
                    "/retro answer codex The fixtures were nowhere described.",
                    whole=True,
                ),
            },
        ),
    )
}


# Commands, some of them with their first word, whose argument is all that follows in the comment.
WHOLE = frozenset(
    name
    for command in COMMANDS.values()
    for name, use in ((command.name, command), *((f"{command.name} {word}", u) for word, u in command.forms.items()))
    if use.whole
)


def at_least(role: str, required: str) -> bool:
    """Whether `role` is `required` or stronger. A role GitHub did not name (a custom one) counts as none."""
    return required == "none" or (role in ROLES and ROLES.index(role) >= ROLES.index(required))


def holds(lease: Lease | None, actor: Actor, workers: Collection[str] | None) -> bool:
    """Whether the lease is this actor's: of the person who claimed, or of one of the agents that act by the account."""
    if lease is None:
        return False
    return lease.holder_id == actor.id if lease.worker is None else lease.worker in (workers or ())


def refusal(
    command: Command,
    actor: Actor,
    role: str,
    task: Task | None,
    workers: Collection[str] | None = None,
    argument: str = "",
) -> str | None:
    """Why this actor may not use the command now, or None. `workers` are the agents that act by this account."""
    called, use = command.use(argument)
    held = task is not None and (holds(task.lease, actor, workers) or holds(task.review, actor, workers))
    if at_least(role, use.role) or (use.holder_too and held):
        return None
    who = f"{use.role} access" + (", or whoever holds the task" if use.holder_too else "")
    return f"`/{called}` needs {who}; you have {role if role in ROLES[1:] else 'no'} access to this repository."
