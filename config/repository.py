"""Defines a repository's configuration, `.github/orchestrator.yml`: every key, its type, default and meaning."""

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from config.agent_kinds import AgentSpecs, ConfigModel, check_unique
from config.durations import Duration, format_duration
from config.escalation import EscalationSettings
from config.labels import MAX_LABEL_LENGTH, is_bot_label
from config.problems import quote, validation_error
from config.validation import parse_model

CONFIG_PATH: Final = ".github/orchestrator.yml"

QUIET_HOURS_PATTERN: Final = r"^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9]) ([A-Za-z0-9_+/-]+)$"

PriorityName: TypeAlias = Literal["P0", "P1", "P2"]
# Shares of `timeouts.stall`: the more urgent a task, the sooner a person must know that it is stalled.
STALL_SHARES: Final[dict[PriorityName, float]] = {"P0": 0.5, "P1": 0.75, "P2": 1.0}


def _check_quiet_hours(value: str) -> str:
    match = re.fullmatch(QUIET_HOURS_PATTERN, value, re.ASCII)
    if match is None:
        raise validation_error('must be a time of day and a zone, such as "22:00-07:00 Europe/Berlin"')
    if match[1] == match[3] and match[2] == match[4]:
        raise validation_error(
            "begins and ends at the same time", suggestion="remove `quiet_hours` to have no quiet hours"
        )
    try:
        ZoneInfo(match[5])
    except (KeyError, ValueError, OSError):
        raise validation_error(
            f"`{match[5]}` is not a time zone", suggestion="write one such as Europe/Berlin or UTC"
        ) from None
    return value


def _check_label(value: str) -> str:
    if not value.strip() or len(value) > MAX_LABEL_LENGTH or not value.isprintable():
        raise validation_error(f"must be a label's name, 1 to {MAX_LABEL_LENGTH} characters")
    if is_bot_label(value):
        raise validation_error(
            f"{quote(value)} is the orchestrator's own label and cannot be mapped",
            suggestion="remove this line",
        )
    return value


def _normalize_keyword(value: str) -> str:
    if 2 <= len(value.strip()) <= 60 and value.isprintable():
        return value.strip().lower()
    raise validation_error("a keyword has 2 to 60 characters")


def _check_unique_labels(priorities: dict[str, PriorityName]) -> dict[str, PriorityName]:
    labels_by_folded_name: dict[str, str] = {}
    for label in priorities:
        earlier = labels_by_folded_name.setdefault(label.casefold(), label)
        if earlier != label:
            raise validation_error(f"{quote(earlier)} and {quote(label)} are the same label on GitHub", key=label)
    return priorities


LabelName = Annotated[
    str, AfterValidator(_check_label), WithJsonSchema({"type": "string", "maxLength": MAX_LABEL_LENGTH})
]
Keywords = Annotated[
    tuple[Annotated[str, AfterValidator(_normalize_keyword)], ...], Field(max_length=200), AfterValidator(check_unique)
]
Priorities = Annotated[dict[LabelName, PriorityName], Field(max_length=100), AfterValidator(_check_unique_labels)]
Weight = Annotated[float, Field(ge=0, le=1)]


class Merge(ConfigModel):
    """What happens to a pull request whose checks pass."""

    auto: bool = Field(
        False, description="Whether the bot merges a pull request when its checks pass and `review` is satisfied."
    )
    method: Literal["merge", "squash", "rebase"] = Field("squash", description="The merge method.")
    review: Literal["none", "agent", "person"] = Field(
        "none",
        description="Whose approval a merge needs: none, that of an agent with the role `review` (never the "
        "author), or that of a person.",
    )
    update: Literal["never", "needed", "always"] = Field(
        "never",
        description="When the bot merges the base into the branch of an agent's pull request by itself: never; "
        "when GitHub refuses the merge because the branch is not up to date (`needed`); or each time the base "
        "changes while the pull request waits (`always`). After each update checks run again, and reviews of "
        "the earlier commit no longer count.",
    )


class Scoring(ConfigModel):
    """How an agent is chosen among the eligible ones; only the proportions of the weights matter."""

    policy: Literal["weighted", "least-busy"] = Field(
        "weighted",
        description="`weighted`: the agent with the best score by the weights below. `least-busy`: the agent "
        "with the fewest tasks relative to its limit, then the one that has had the fewest tasks; the weights "
        "are ignored.",
    )
    priority: Weight = Field(0.5, description="The task's priority.")
    capability: Weight = Field(0.3, description="How well the agent's capabilities match.")
    load: Weight = Field(0.15, description="How free the agent is.")
    fairness: Weight = Field(0.05, description="How long the agent has had no task.")
    learned: Weight = Field(0.0, description="How successful and fast the agent's latest attempts were.")

    @model_validator(mode="after")
    def _check_weights(self) -> "Scoring":
        if not self.priority + self.capability + self.load + self.fairness + self.learned > 0:
            raise validation_error(
                "all weights are 0, so there is nothing to choose by", suggestion="set at least one weight above 0"
            )
        return self


class TaskLimits(ConfigModel):
    """When the bot stops."""

    max_attempts: int = Field(3, ge=1, le=20, description="Attempts at a task before the bot calls for a person.")
    max_queue_depth: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Tasks in the queue that wait for an agent. The bot parks further tasks, the least urgent "
        "and newest first, and adds them when there is room.",
    )


class Timeouts(ConfigModel):
    """How long silence is accepted."""

    ack: Duration = Field(
        timedelta(minutes=2), description="Time from the start of an agent to its first sign of life."
    )
    heartbeat: Duration = Field(
        timedelta(minutes=10), description="Time without a sign of life after which the agent has failed."
    )
    stall: Duration = Field(
        timedelta(hours=2),
        description="Time without progress after which a task is stalled: a P2 after this long, a P1 after "
        "three quarters of it, a P0 after half. It is longer if this repository's agents have needed longer.",
    )
    stall_by_priority: dict[PriorityName, Duration] = Field(
        default_factory=dict,
        description="The same for single priorities: `{P0: 30m}`.",
    )
    attempt: Duration = Field(timedelta(hours=8), description="The longest that one attempt may take.")

    @model_validator(mode="after")
    def _check_attempt_is_longest(self) -> "Timeouts":
        for key in ("ack", "heartbeat", "stall"):
            if getattr(self, key) > self.attempt:
                text = f"is longer than `attempt` ({format_duration(self.attempt)}), so it could never be reached"
                raise validation_error(text, suggestion="make it shorter, or `attempt` longer", key=key)
        for priority, stall_timeout in self.stall_by_priority.items():
            if stall_timeout > self.attempt:
                limit = format_duration(self.attempt)
                text = f"{priority} is longer than `attempt` ({limit}), so it could never be reached"
                raise validation_error(text, suggestion="make it shorter, or `attempt` longer", key="stall_by_priority")
        return self

    def stall_timeout(self, priority: PriorityName) -> timedelta:
        """After how long without progress a task of this priority is stalled."""
        return self.stall_by_priority.get(priority, self.stall * STALL_SHARES[priority])


class DigestSettings(ConfigModel):
    """The digest issue."""

    enabled: bool = Field(
        True, description="Whether the bot keeps a digest: an issue that shows the state of all tasks."
    )
    interval: Duration = Field(timedelta(hours=2), description="How often the bot updates the digest.")
    quiet_hours: (
        Annotated[
            str, AfterValidator(_check_quiet_hours), WithJsonSchema({"type": "string", "pattern": QUIET_HOURS_PATTERN})
        ]
        | None
    ) = Field(
        None,
        description='Quiet hours: `"22:00-07:00 Europe/Berlin"`. The bot sends a digest that is due in these hours '
        "at their end. Default: no quiet hours.",
    )

    def is_quiet(self, now: datetime) -> bool:
        """Whether `now` (aware) is in the quiet hours; their end is not part of them."""
        return self.quiet_hours_end(now) != now

    def quiet_hours_end(self, at: datetime) -> datetime:
        """The first moment from `at` (aware) that is not quiet: `at` itself, or the end of the quiet hours.

        By local time: if the clocks change, the quiet hours are longer or shorter.
        """
        match = re.fullmatch(QUIET_HOURS_PATTERN, self.quiet_hours or "", re.ASCII)
        if match is None:
            return at
        start, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        zone = ZoneInfo(match[5])
        local = at.astimezone(UTC).astimezone(zone)
        local_time = local.time()
        spans_midnight = start > end
        if not (start <= local_time < end or (spans_midnight and (local_time >= start or local_time < end))):
            return at
        day = local.date() + timedelta(days=1 if spans_midnight and local_time >= start else 0)
        # If the local time of the end occurs twice, the first one counts, unless it is over.
        ends = (datetime.combine(day, end, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        return next((candidate for candidate in ends if candidate > at), at)

    def next_due_at(self, now: datetime) -> datetime:
        """When the next digest is due, if the last one was at `now` (aware): never in the quiet hours."""
        return self.quiet_hours_end(now + self.interval)


class RetrospectiveRules(ConfigModel):
    """Looking back at what was done."""

    after_tasks: int = Field(
        3,
        ge=0,
        le=1000,
        description="After how many done tasks the bot opens a retrospective; `0`: only for `/retro`.",
    )


class Conflicts(ConfigModel):
    """Which tasks wait for each other to avoid conflicts."""

    overlap_threshold: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5,
        description="How probable (0 to 1) it must be that a task changes the same file as a task in progress "
        "before it waits for that task; `1`: no task ever waits for this reason.",
    )


class Classification(ConfigModel):
    """Words that decide a task's class, besides the built-in ones. A person can override the result."""

    functional: Keywords = Field(
        (),
        description="Words that suggest testable behaviour: `voucher*` matches any ending, `voucher^3` sets the "
        "weight.",
    )
    non_functional: Keywords = Field((), description="Words that suggest configuration, environment, fixes or docs.")


class RepositoryConfig(ConfigModel):
    """`.github/orchestrator.yml`: how the orchestrator works in this repository."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    agents: AgentSpecs = Field(description="The agents by name.")
    priorities: Priorities = Field(
        default_factory=dict, description="Your own labels and the priority that each one means."
    )
    plan: Literal["none", "agent"] = Field(
        "none", description="Who plans before the implementation: no one, or an agent with the role `plan`."
    )
    merge: Merge = Field(default_factory=Merge)
    scoring: Scoring = Field(default_factory=Scoring)
    limits: TaskLimits = Field(default_factory=TaskLimits)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    conflicts: Conflicts = Field(default_factory=Conflicts)
    digest: DigestSettings = Field(default_factory=DigestSettings)
    retrospective: RetrospectiveRules = Field(default_factory=RetrospectiveRules)
    escalation: EscalationSettings = Field(default_factory=EscalationSettings)
    classification: Classification = Field(default_factory=Classification)
    dry_run: bool = Field(False, description="Dry run: the bot only shows in the card and the digest what it would do.")


@lru_cache(maxsize=256)
def parse_repository_config(text: str, path: str = CONFIG_PATH) -> RepositoryConfig:
    """Read and check a repository's configuration; `path` is named in the messages.

    Raises ConfigError, and nothing else, with every problem and its line.
    """
    return parse_model(RepositoryConfig, text, path)
