"""Describes a retrospective: computed once from metrics, then extended with issue number, answers and tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from config.durations import parse_duration
from core.audit.events import Event
from core.retro.findings import Action, find
from core.retro.metrics import AgentMetrics, TaskMetrics, figures, middle, of_agents, titles_of
from core.text_safety.sanitize import clean, mask_secrets, one_line
from core.texts.render import format_duration

TURN = "turn:"  # prefix of the keys of scheduled ones
NEXT = 3  # tasks that are listed as next
MOST_TASKS = 100  # in one retrospective, the latest
ANSWER_LIMIT = 1_500  # characters of one agent's answer
TITLE_LIMIT = 120
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_BACK = re.compile(r"([0-9]{1,4})(d|w)")


@dataclass(frozen=True, slots=True)
class Question:
    """The question to one agent, and its answer."""

    agent: str
    text: str
    mention: str = ""  # the name that it listens to in comments, if it does
    answer: str = ""  # cleaned
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class NextTask:
    """A task at the head of the queue."""

    number: int
    title: str
    priority: str


@dataclass(frozen=True, slots=True)
class RetrospectiveOpened:
    """Reports an issue that was opened: of a retrospective, or of the task that one of its action items became."""

    retrospective: str  # its key
    number: int
    action: str = ""  # the id of the action item


@dataclass(frozen=True, slots=True)
class Retrospective:
    """One retrospective. `key` identifies it; `number` is that of its issue, once it exists."""

    key: str
    held_at: datetime
    tasks: tuple[TaskMetrics, ...]
    agents: tuple[AgentMetrics, ...]
    well: tuple[str, ...]
    improve: tuple[str, ...]
    actions: tuple[Action, ...]
    questions: tuple[Question, ...] = ()
    upcoming: tuple[NextTask, ...] = ()
    since: datetime | None = None  # tasks done after this; None: all that are not in an earlier one
    by: str | None = None  # the user who asked for it on GitHub
    left_out: int = 0  # tasks beyond `MOST_TASKS`
    number: int | None = None

    @property
    def in_turn(self) -> bool:
        """Whether it was scheduled and not requested by a user."""
        return self.key.startswith(TURN)

    @property
    def lead(self) -> timedelta | None:
        """The median lead time."""
        return middle(task.lead for task in self.tasks)

    @property
    def cycle(self) -> timedelta | None:
        """The median cycle time."""
        return middle(task.cycle for task in self.tasks)

    def total(self, what: str) -> int:
        """The sum of one figure over all tasks, by the name of a numeric field of `TaskMetrics`."""
        return sum(getattr(task, what) for task in self.tasks)

    def unanswered(self, agent: str) -> Question | None:
        """The question that this agent has not answered."""
        return next((question for question in self.questions if question.agent == agent and not question.answer), None)

    def action(self, id_: str) -> Action | None:
        """The action item with this id."""
        return next((action for action in self.actions if action.id == id_), None)

    def with_task(self, id_: str, number: int) -> Retrospective:
        """The retrospective with an action item that became a task."""
        return replace(self, actions=tuple(replace(a, task=number) if a.id == id_ else a for a in self.actions))

    def ticked(self, ids: Sequence[str], by: str) -> Retrospective:
        """The retrospective with these action items requested."""
        return replace(self, actions=tuple(replace(a, ticked_by=by) if a.id in ids else a for a in self.actions))

    def answered(self, agent: str, text: str, by: str) -> Retrospective | None:
        """The retrospective with an agent's (raw) answer, the last one counts; None if that agent was not asked."""
        told = clean(mask_secrets(text), ANSWER_LIMIT).strip()
        if not told or all(question.agent != agent for question in self.questions):
            return None
        return replace(
            self,
            questions=tuple(replace(q, answer=told, answered_by=by) if q.agent == agent else q for q in self.questions),
        )


@dataclass(frozen=True, slots=True)
class RetrospectiveInput:
    """The input of a retrospective: the cut events of done tasks by number, in the order in which they were done."""

    trails: Mapping[int, tuple[Event, ...]] = field(default_factory=dict)
    upcoming: tuple[NextTask, ...] = ()
    mentions: Mapping[str, str] = field(default_factory=dict)  # by agent, the name that wakes it
    titles: Mapping[int, str] = field(default_factory=dict)  # as the tasks are called now
    cycle_before: timedelta | None = None  # median of the last retrospective
    left_out: int = 0


def hold(
    gathered: RetrospectiveInput, key: str, now: datetime, *, since: datetime | None = None, by: str | None = None
) -> Retrospective | None:
    """Compute the retrospective; None if no task was done."""
    titles = {**titles_of(gathered.trails), **gathered.titles}
    told = [figures(trail, one_line(titles.get(number, ""), TITLE_LIMIT)) for number, trail in gathered.trails.items()]
    tasks = tuple(one for one in told if one is not None)
    if not tasks:
        return None
    agents = of_agents(gathered.trails.values())
    found = find(tasks, agents, gathered.cycle_before)
    return Retrospective(
        key=key,
        held_at=now,
        tasks=tasks,
        agents=agents,
        well=tuple(found.well),
        improve=tuple(found.improve),
        actions=tuple(found.actions),
        questions=tuple(_question(agent, gathered.mentions.get(agent.name, "")) for agent in agents),
        upcoming=gathered.upcoming[:NEXT],
        since=since,
        by=by,
        left_out=gathered.left_out,
    )


def _question(agent: AgentMetrics, mention: str) -> Question:
    """One question that the agent's own figures raise."""
    if agent.failed:
        ask = "What stopped you, and what would have helped you to continue?"
    elif agent.came_back:
        ask = "What would you have needed to know to succeed at the first attempt?"
    elif agent.conflicts:
        ask = "How could you have seen that others change the same files?"
    else:
        ask = "What in these tasks cost you the most time, and what should the next hand-off say?"
    took = f", {format_duration(agent.working)} each until you handed in" if agent.working else ""
    had = f"{agent.attempts} attempt{'s' * (agent.attempts != 1)} at {_list(agent.tasks)}{took}"
    return Question(agent.name, f"You had {had}. {ask}", mention)


def _list(numbers: Sequence[int]) -> str:
    shown = ", ".join(f"#{number}" for number in numbers[:5])
    return shown + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def read_since(text: str, now: datetime) -> datetime | None:
    """`2026-03-01` (midnight UTC), `7d`, `2w` or `12h` → that moment, before `now`; nothing → None.

    Raises ValueError with a sentence for the user.
    """
    said = text.strip().strip("`").lower().removeprefix("since").strip()
    if not said:
        return None
    shown = one_line(said, 40).replace("`", "")
    wrong = ValueError(f"`{shown}` is not a time: write a day (2026-03-01) or how long ago (7d, 12h).")
    try:
        if day := _DAY.fullmatch(said):
            found = datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC)
        elif back := _BACK.fullmatch(said):
            found = now - timedelta(days=int(back[1])) * (7 if back[2] == "w" else 1)
        else:
            found = now - parse_duration(said)
    except (ValueError, OverflowError):
        raise wrong from None
    if found > now:
        raise ValueError("That day is in the future.")
    return found
