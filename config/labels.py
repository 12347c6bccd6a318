"""Every label that the bot owns: its name, colour and description."""

from dataclasses import dataclass
from typing import Final

# GitHub takes 50 characters for a label's name; `needs:` and `agent:` use six of them.
MAX_LABEL_LENGTH: Final = 50
CAPABILITY_PREFIX: Final = "needs:"
AGENT_PREFIX: Final = "agent:"
MAX_NAME_LENGTH: Final = MAX_LABEL_LENGTH - len(CAPABILITY_PREFIX)
PREFIXES: Final = ("status:", "type:", CAPABILITY_PREFIX, AGENT_PREFIX)


@dataclass(frozen=True, slots=True)
class Label:
    """A label as GitHub's API takes it: `colour` is six hex digits, `description` at most 100 characters."""

    name: str
    colour: str
    description: str


TASK: Final = Label("task", "1d76db", "Work for an agent, managed by the orchestrator")

STATUSES: Final = (
    Label("status:pending", "d4c5f9", "Not ready yet; the task card says what is missing"),
    Label("status:ready", "0e8a16", "Ready to be assigned to an agent"),
    Label("status:in-progress", "fbca04", "An agent is working on it"),
    Label("status:review", "5319e7", "A pull request is open"),
    Label("status:done", "006b75", "Merged, checks passed, acceptance criteria met"),
    Label("status:failed", "b60205", "All attempts are used up; a person must look"),
)

PRIORITIES: Final = (
    Label("P0", "b60205", "Before everything else"),
    Label("P1", "d93f0b", "Before ordinary work"),
    Label("P2", "fef2c0", "Ordinary work"),
)

CLASSES: Final = (
    Label("type:functional", "c2e0c6", "Testable behaviour: planned test first (red, green, refactor)"),
    Label("type:non-functional", "bfdadc", "Configuration, environment, fix or docs: planned from the problem"),
)

FLAGS: Final = (
    Label("blocked", "e99695", "Waits for something else; the task card says what"),
    Label("conflict", "d93f0b", "Its changes conflict with other work"),
    Label("stalled", "f9d0c4", "No progress for too long"),
    Label("needs-human", "b60205", "A person must decide or act"),
    Label("parked", "ededed", "The queue is full; the bot adds the task when there is room"),
)

RETROSPECTIVE: Final = Label("retrospective", "bfdadc", "What was done, what went well, what to improve")
# On the progress digest, and made with it: no task ever carries it.
DIGEST: Final = Label("orchestrator-digest", "0052cc", "Shows the progress of the orchestrator's tasks")

# Those that people put on by hand: each is an instruction.
_BY_HAND: Final = ("status:ready", "status:pending", "status:done", "status:failed", "blocked")
OFFERED_LABELS: Final = (
    TASK,
    *PRIORITIES,
    *CLASSES,
    *(label for label in (*STATUSES, *FLAGS) if label.name in _BY_HAND),
)
FIXED_LABELS: Final = (TASK, *STATUSES, *PRIORITIES, *CLASSES, *FLAGS, RETROSPECTIVE)
_BY_NAME: Final = {label.name.casefold(): label for label in (*FIXED_LABELS, DIGEST)}


def capability_label(capability: str) -> str:
    """`python` → `needs:python`: the agent that takes the task must have this capability."""
    return CAPABILITY_PREFIX + capability


def agent_label(agent: str) -> str:
    """`codex` → `agent:codex`: this agent holds the task. A view of the lease, never the lock itself."""
    return AGENT_PREFIX + agent


def is_ours(label: str) -> bool:
    """Whether the bot owns this label name. GitHub does not tell upper from lower case here, nor do we."""
    name = label.casefold()
    return name in _BY_NAME or name.startswith(PREFIXES)


def describe(label: str) -> Label:
    """Colour and description for one of our labels, the named ones and those of agents and capabilities.

    Raises ValueError for a label that is not ours: its looks are its owner's business.
    """
    name = label.casefold()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith(CAPABILITY_PREFIX):
        what = f"Needs an agent with the capability {label[len(CAPABILITY_PREFIX) :]}"
        return Label(label, "c5def5", what)
    if name.startswith(AGENT_PREFIX):
        return Label(label, "bfd4f2", f"{label[len(AGENT_PREFIX) :]} is working on it")
    raise ValueError(f"{label!r} is not a label of the orchestrator")
