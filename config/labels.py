"""Defines every label of the bot: name, colour and description."""

from dataclasses import dataclass
from typing import Final

# GitHub allows 50 characters for a label's name; `needs:` and `agent:` use six of them.
MAX_LABEL_LENGTH: Final = 50
CAPABILITY_PREFIX: Final = "needs:"
AGENT_PREFIX: Final = "agent:"
MAX_NAME_LENGTH: Final = MAX_LABEL_LENGTH - len(CAPABILITY_PREFIX)
PREFIXES: Final = ("status:", "type:", CAPABILITY_PREFIX, AGENT_PREFIX)


@dataclass(frozen=True, slots=True)
class LabelDefinition:
    """A label as GitHub's API expects it: `colour` is six hex digits, `description` at most 100 characters."""

    name: str
    colour: str
    description: str


TASK: Final = LabelDefinition("task", "1d76db", "Work for an agent, managed by the orchestrator")

STATUSES: Final = (
    LabelDefinition("status:pending", "d4c5f9", "Not ready yet; the task card says what is missing"),
    LabelDefinition("status:ready", "0e8a16", "Ready to be assigned to an agent"),
    LabelDefinition("status:in-progress", "fbca04", "An agent is working on it"),
    LabelDefinition("status:review", "5319e7", "A pull request is open"),
    LabelDefinition("status:done", "006b75", "Merged, checks passed, acceptance criteria met"),
    LabelDefinition("status:failed", "b60205", "All attempts are used up; a person must look"),
)

PRIORITIES: Final = (
    LabelDefinition("P0", "b60205", "Before everything else"),
    LabelDefinition("P1", "d93f0b", "Before ordinary work"),
    LabelDefinition("P2", "fef2c0", "Ordinary work"),
)

CLASSES: Final = (
    LabelDefinition("type:functional", "c2e0c6", "Testable behaviour: planned test first (red, green, refactor)"),
    LabelDefinition(
        "type:non-functional", "bfdadc", "Configuration, environment, fix or docs: planned from the problem"
    ),
)

FLAGS: Final = (
    LabelDefinition("blocked", "e99695", "Waits for something else; the task card says what"),
    LabelDefinition("conflict", "d93f0b", "Its changes conflict with other work"),
    LabelDefinition("stalled", "f9d0c4", "No progress for too long"),
    LabelDefinition("needs-human", "b60205", "A person must decide or act"),
    LabelDefinition("parked", "ededed", "The queue is full; the bot adds the task when there is room"),
)

RETROSPECTIVE: Final = LabelDefinition("retrospective", "bfdadc", "What was done, what went well, what to improve")
# Only on the progress digest, and created with it: no task has it.
DIGEST: Final = LabelDefinition("orchestrator-digest", "0052cc", "Shows the progress of the orchestrator's tasks")

# Labels that people add by hand: each is an instruction.
_MANUAL_LABEL_NAMES: Final = ("status:ready", "status:pending", "status:done", "status:failed", "blocked")
INITIAL_LABELS: Final = (
    TASK,
    *PRIORITIES,
    *CLASSES,
    *(label for label in (*STATUSES, *FLAGS) if label.name in _MANUAL_LABEL_NAMES),
)
FIXED_LABELS: Final = (TASK, *STATUSES, *PRIORITIES, *CLASSES, *FLAGS, RETROSPECTIVE)
_LABELS_BY_NAME: Final = {label.name.casefold(): label for label in (*FIXED_LABELS, DIGEST)}


def capability_label(capability: str) -> str:
    """`python` → `needs:python`: the agent that takes the task must have this capability."""
    return CAPABILITY_PREFIX + capability


def agent_label(agent: str) -> str:
    """`codex` → `agent:codex`: this agent holds the task. A view of the lease, never the lock itself."""
    return AGENT_PREFIX + agent


def is_bot_label(label: str) -> bool:
    """Whether the bot owns this label name. Case does not matter here, as on GitHub."""
    name = label.casefold()
    return name in _LABELS_BY_NAME or name.startswith(PREFIXES)


def label_definition(label: str) -> LabelDefinition:
    """Colour and description of one of the bot's labels, fixed ones and those of agents and capabilities.

    Raises ValueError for any other label: its owner decides how it looks.
    """
    name = label.casefold()
    if name in _LABELS_BY_NAME:
        return _LABELS_BY_NAME[name]
    if name.startswith(CAPABILITY_PREFIX):
        description = f"Needs an agent with the capability {label[len(CAPABILITY_PREFIX) :]}"
        return LabelDefinition(label, "c5def5", description)
    if name.startswith(AGENT_PREFIX):
        return LabelDefinition(label, "bfd4f2", f"{label[len(AGENT_PREFIX) :]} is working on it")
    raise ValueError(f"{label!r} is not a label of the orchestrator")
