"""Describes a retrospective: computed once from metrics, then extended with issue number, answers and tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from config.durations import parse_duration
from core.audit.events import Event
from core.retro.findings import ActionItem, make_findings
from core.retro.metrics import AgentMetrics, TaskMetrics, agent_metrics, middle, task_metrics, task_titles
from core.text_safety.sanitize import clean, mask_secrets, one_line
from core.texts.render import format_duration

SCHEDULED_PREFIX = "turn:"  # prefix of the keys of scheduled ones
MAX_NEXT_TASKS = 3  # tasks that are listed as next
MAX_TASKS = 100  # in one retrospective, the latest
MAX_ANSWER_LENGTH = 1_500  # characters of one agent's answer
MAX_TITLE_LENGTH = 120
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_TIME_AGO = re.compile(r"([0-9]{1,4})(d|w)")


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
    created_at: datetime
    tasks: tuple[TaskMetrics, ...]
    agents: tuple[AgentMetrics, ...]
    went_well: tuple[str, ...]
    to_improve: tuple[str, ...]
    actions: tuple[ActionItem, ...]
    questions: tuple[Question, ...] = ()
    next_tasks: tuple[NextTask, ...] = ()
    since: datetime | None = None  # tasks done after this; None: all that are not in an earlier one
    requested_by: str | None = None  # the user who asked for it on GitHub
    omitted_count: int = 0  # tasks beyond `MOST_TASKS`
    number: int | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether it was scheduled and not requested by a user."""
        return self.key.startswith(SCHEDULED_PREFIX)

    @property
    def median_lead_time(self) -> timedelta | None:
        """The median lead time."""
        return middle(task.lead_time for task in self.tasks)

    @property
    def median_cycle_time(self) -> timedelta | None:
        """The median cycle time."""
        return middle(task.cycle_time for task in self.tasks)

    def total(self, metric: str) -> int:
        """The sum of one figure over all tasks, by the name of a numeric field of `TaskMetrics`."""
        return sum(getattr(task, metric) for task in self.tasks)

    def open_question(self, agent: str) -> Question | None:
        """The question that this agent has not answered."""
        return next((question for question in self.questions if question.agent == agent and not question.answer), None)

    def find_action(self, id_: str) -> ActionItem | None:
        """The action item with this id."""
        return next((action for action in self.actions if action.id == id_), None)

    def with_task(self, id_: str, number: int) -> Retrospective:
        """The retrospective with an action item that became a task."""
        return replace(
            self, actions=tuple(replace(item, task_number=number) if item.id == id_ else item for item in self.actions)
        )

    def with_ticked(self, ids: Sequence[str], login: str) -> Retrospective:
        """The retrospective with these action items requested."""
        return replace(
            self, actions=tuple(replace(item, ticked_by=login) if item.id in ids else item for item in self.actions)
        )

    def with_answer(self, agent: str, text: str, login: str) -> Retrospective | None:
        """The retrospective with an agent's (raw) answer, the last one counts; None if that agent was not asked."""
        cleaned = clean(mask_secrets(text), MAX_ANSWER_LENGTH).strip()
        if not cleaned or all(question.agent != agent for question in self.questions):
            return None
        return replace(
            self,
            questions=tuple(
                replace(item, answer=cleaned, answered_by=login) if item.agent == agent else item
                for item in self.questions
            ),
        )


@dataclass(frozen=True, slots=True)
class RetrospectiveInput:
    """The input of a retrospective: the cut events of done tasks by number, in the order in which they were done."""

    events_by_task: Mapping[int, tuple[Event, ...]] = field(default_factory=dict)
    next_tasks: tuple[NextTask, ...] = ()
    mentions: Mapping[str, str] = field(default_factory=dict)  # by agent, the name that wakes it
    titles: Mapping[int, str] = field(default_factory=dict)  # as the tasks are called now
    previous_cycle_time: timedelta | None = None  # median of the last retrospective
    omitted_count: int = 0


def build_retrospective(
    data: RetrospectiveInput, key: str, now: datetime, *, since: datetime | None = None, requested_by: str | None = None
) -> Retrospective | None:
    """Compute the retrospective; None if no task was done."""
    titles = {**task_titles(data.events_by_task), **data.titles}
    metrics = [
        task_metrics(events, one_line(titles.get(number, ""), MAX_TITLE_LENGTH))
        for number, events in data.events_by_task.items()
    ]
    tasks = tuple(item for item in metrics if item is not None)
    if not tasks:
        return None
    agents = agent_metrics(data.events_by_task.values())
    findings = make_findings(tasks, agents, data.previous_cycle_time)
    return Retrospective(
        key=key,
        created_at=now,
        tasks=tasks,
        agents=agents,
        went_well=tuple(findings.went_well),
        to_improve=tuple(findings.to_improve),
        actions=tuple(findings.actions),
        questions=tuple(_make_question(agent, data.mentions.get(agent.name, "")) for agent in agents),
        next_tasks=data.next_tasks[:MAX_NEXT_TASKS],
        since=since,
        requested_by=requested_by,
        omitted_count=data.omitted_count,
    )


def _make_question(agent: AgentMetrics, mention: str) -> Question:
    """One question that the agent's own figures raise."""
    if agent.failed:
        question_text = "What stopped you, and what would have helped you to continue?"
    elif agent.sent_back:
        question_text = "What would you have needed to know to succeed at the first attempt?"
    elif agent.conflicts:
        question_text = "How could you have seen that others change the same files?"
    else:
        question_text = "What in these tasks cost you the most time, and what should the next hand-off say?"
    duration_text = (
        f", {format_duration(agent.median_work_time)} each until you handed in" if agent.median_work_time else ""
    )
    summary = f"{agent.attempts} attempt{'s' * (agent.attempts != 1)} at {_format_numbers(agent.tasks)}{duration_text}"
    return Question(agent.name, f"You had {summary}. {question_text}", mention)


def _format_numbers(numbers: Sequence[int]) -> str:
    text = ", ".join(f"#{number}" for number in numbers[:5])
    return text + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def parse_since(text: str, now: datetime) -> datetime | None:
    """`2026-03-01` (midnight UTC), `7d`, `2w` or `12h` → that moment, before `now`; nothing → None.

    Raises ValueError with a sentence for the user.
    """
    value = text.strip().strip("`").lower().removeprefix("since").strip()
    if not value:
        return None
    quoted = one_line(value, 40).replace("`", "")
    error = ValueError(f"`{quoted}` is not a time: write a day (2026-03-01) or how long ago (7d, 12h).")
    try:
        if day := _DAY.fullmatch(value):
            moment = datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC)
        elif ago := _TIME_AGO.fullmatch(value):
            moment = now - timedelta(days=int(ago[1])) * (7 if ago[2] == "w" else 1)
        else:
            moment = now - parse_duration(value)
    except (ValueError, OverflowError):
        raise error from None
    if moment > now:
        raise ValueError("That day is in the future.")
    return moment
