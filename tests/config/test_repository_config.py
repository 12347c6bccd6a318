"""A repository's configuration: all of it, its defaults, and every mistake with its line and a way out."""

from datetime import UTC, datetime, timedelta

import pytest

from config.agent_kinds import ActionsAgent, HttpAgent, MentionAgent, PullAgent
from config.problems import MAX_PROBLEMS, ConfigError, Problem
from config.repository import DigestSettings, RepositoryConfig, parse_repository_config
from tools.docs.configuration import EXAMPLE

SMALLEST = "version: 1\nagents:\n  codex: {adapter: actions, workflow: agent.yml}\n"


def mistakes(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_repository_config(text, ".github/orchestrator.yml")
    return caught.value.problems


def test_version_and_agents_are_enough() -> None:
    config = parse_repository_config(SMALLEST)
    agent = config.agents["codex"]
    assert isinstance(agent, ActionsAgent)
    assert (agent.workflow, agent.event, agent.ref) == ("agent.yml", None, None)
    assert (agent.capabilities, agent.prefers, agent.max_tasks, agent.roles) == ((), (), 1, ("implement",))
    assert config.priorities == {}
    assert config.merge.model_dump() == {"auto": False, "method": "squash", "review": "none", "update": "never"}
    weights = {"priority": 0.5, "capability": 0.3, "load": 0.15, "fairness": 0.05, "learned": 0.0}
    assert config.scoring.model_dump() == {"policy": "weighted", **weights}
    assert config.limits.model_dump() == {"max_attempts": 3, "max_queue_depth": 1000}
    assert config.timeouts.ack == timedelta(minutes=2)
    assert config.timeouts.heartbeat == timedelta(minutes=10)
    assert config.timeouts.stall == config.digest.interval == timedelta(hours=2)
    assert config.timeouts.attempt == timedelta(hours=8)
    assert config.digest.quiet_hours is None
    assert config.escalation.timeout == timedelta(minutes=5)
    assert (config.escalation.fallback, config.escalation.channels) == ((), ())
    assert (config.classification.functional, config.classification.non_functional) == ((), ())
    assert config.dry_run is False


def test_the_complete_example() -> None:
    config = parse_repository_config(EXAMPLE.read_text(encoding="utf-8"))
    assert list(config.agents) == ["codex", "claude", "cursor", "copilot", "chatgpt"]
    claude, cursor, chatgpt = config.agents["claude"], config.agents["cursor"], config.agents["chatgpt"]
    assert isinstance(claude, MentionAgent)
    assert claude.mention == "@claude"
    assert isinstance(cursor, HttpAgent)
    assert cursor.preset == "cursor"
    assert isinstance(chatgpt, PullAgent)
    assert chatgpt.roles == ("plan", "review")
    assert config.priorities == {"critical": "P0", "bug": "P1"}
    assert config.merge.auto
    assert config.escalation.fallback == ("alice", "acme/maintainers")
    left_out = set(RepositoryConfig.model_fields) - config.model_fields_set
    assert not left_out, "the example shows every key"


def test_a_configuration_goes_through_json_unchanged() -> None:
    config = parse_repository_config(EXAMPLE.read_text(encoding="utf-8"))
    assert RepositoryConfig.model_validate_json(config.model_dump_json()) == config


def test_yes_no_and_numbers_as_names_stay_what_they_look_like() -> None:
    config = parse_repository_config(SMALLEST + "priorities: {on: P0, 404: P1, no: P2}\n")
    assert config.priorities == {"on": "P0", "404": "P1", "no": "P2"}


AGENT = "version: 1\nagents:\n  codex:\n    adapter: "

MISTAKES = [
    # text, line, column, key path, part of the message, part of the suggestion
    ("", 1, 1, "", "the file is empty", None),
    ("# nothing\n", 1, 1, "", "the file is empty", None),
    ("- a\n", 1, 1, "", "must be a mapping", None),
    ("agents: {}\n", 1, 1, "version", "`version` is missing", "add `version: 1`"),
    ("\nversion: 2\nagents: {}\n", 2, 10, "version", "must be 1, not `2`", None),
    ('version: "1"\nagents: {}\n', 1, 10, "version", "must be 1", None),
    ("version: 1\n", 1, 1, "agents", "`agents` is missing", None),
    ("version: 1\nagents:\n", 2, 8, "agents", "must be a mapping", None),
    ("version: 1\nagents: {}\n\nmerg: {}\n", 4, 1, "merg", "unknown key `merg`", "did you mean `merge`?"),
    (SMALLEST + "zzz: 1\n", 4, 1, "zzz", "unknown key `zzz`", "valid keys are `agents`"),
    (SMALLEST + "version: 1\n", 4, 1, "version", "already in line 1", None),
    (AGENT + "pull\n  codex:\n    adapter: pull\n", 5, 3, "agents.codex", "already in line 3", None),
    (
        AGENT + "pull\n    capabilites: [a]\n",
        5,
        5,
        "agents.codex.capabilites",
        "unknown key",
        "`capabilities`?",
    ),
    (AGENT + "pull\n    workflow: a.yml\n", 5, 5, "agents.codex.workflow", "unknown key", "valid keys are"),
    (AGENT + "action\n", 4, 14, "agents.codex.adapter", "one of actions, copilot, mention", "`actions`?"),
    ("version: 1\nagents:\n  a: {workflow: x.yml}\n", 3, 3, "agents.a", "`adapter` is missing", "`actions`"),
    (
        "version: 1\nagents: {Big One: {adapter: pull}}\n",
        2,
        10,
        "agents.Big One",
        "a name is",
        "write `big-one`",
    ),
    (f"version: 1\nagents: {{{'a' * 45}: {{adapter: pull}}}}\n", 2, 10, None, "1 to 44", "write `aaa"),
    (AGENT + "pull\n    capabilities:\n      - a\n      - Py\n", 7, 9, None, "a name is", "write `py`"),
    (AGENT + "pull\n    capabilities: [a, b, a]\n", 5, 19, None, "`a` appears twice", None),
    (AGENT + "pull\n    capabilities: python\n", 5, 19, None, "must be a list", None),
    (AGENT + "pull\n    capabilities: [3.11]\n", 5, 20, None, "put it in quotes", None),
    (AGENT + "pull\n    max_tasks: 0\n", 5, 16, "agents.codex.max_tasks", "at least 1", None),
    (AGENT + 'pull\n    max_tasks: "2"\n', 5, 16, "agents.codex.max_tasks", "whole number", None),
    (AGENT + "pull\n    roles: []\n", 5, 12, "agents.codex.roles", "must not be empty", None),
    (
        AGENT + "pull\n    roles: [revew]\n",
        5,
        13,
        "agents.codex.roles[0]",
        "plan, implement, review",
        "`review`?",
    ),
    (AGENT + "actions\n", 4, 5, "agents.codex", "has neither `workflow` nor `event`", "add `workflow: agent.yml`"),
    (AGENT + "actions\n    workflow: a.yml\n    event: b\n", 6, 5, "agents.codex.event", "both", "keep one"),
    (AGENT + "actions\n    event: b\n    ref: main\n", 6, 5, "agents.codex.ref", "only with `workflow`", "remove"),
    (
        AGENT + "actions\n    workflow: .github/workflows/a.yml\n",
        5,
        15,
        None,
        "name of a file",
        "write `a.yml`",
    ),
    (AGENT + "actions\n    workflow: ../../x\n", 5, 15, None, "name of a file", None),
    (AGENT + "actions\n    workflow: a.yml\n    ref: a..b\n", 6, 10, None, "branch or tag", None),
    (AGENT + f"actions\n    event: {'e' * 101}\n", 5, 12, None, "at most 100 characters", None),
    (AGENT + "mention\n", 3, 3, "agents.codex.mention", "`mention` is missing", None),
    (AGENT + "mention\n    mention: claude\n", 5, 14, None, "name to mention", 'write "@claude"'),
    (AGENT + 'mention\n    mention: "@a @b"\n', 5, 14, None, "name to mention", None),
    (AGENT + "http\n", 4, 5, "agents.codex", "has neither `preset` nor `url`", "preset: cursor"),
    (AGENT + "http\n    preset: cursr\n", 5, 13, None, "cursor, jules, devin", "`cursor`?"),
    (AGENT + "http\n    preset: jules\n    url: https://x\n", 6, 5, None, "both `preset` and `url`", None),
    (AGENT + "http\n    url: http://x.example.com\n", 5, 10, None, "https://", None),
    (AGENT + "http\n    url: https://[::1\n", 5, 10, None, "https://", None),
    (AGENT + "http\n    url: https://u:p@x\n", 5, 10, None, "without user or password", None),
    (SMALLEST + "priorities:\n  Bug: P1\n  bug: P0\n", 6, 3, "priorities.bug", "the same label", None),
    (
        SMALLEST + "priorities: {bug: P3}\n",
        4,
        19,
        "priorities.bug",
        "must be one of P0, P1, P2, not `P3`",
        None,
    ),
    (SMALLEST + "priorities: {P0: P1}\n", 4, 14, "priorities.P0", "own label", "remove this line"),
    (SMALLEST + f"priorities: {{{'x' * 51}: P1}}\n", 4, 14, None, "1 to 50 characters", None),
    (SMALLEST + "merge: {method: sqash}\n", 4, 17, "merge.method", "merge, squash, rebase", "`squash`?"),
    (SMALLEST + "merge:\n  auto: yes\n", 5, 9, "merge.auto", "true or false", None),
    (SMALLEST + "merge:\n  metod: squash\n", 5, 3, "merge.metod", "unknown key", "did you mean `method`?"),
    (SMALLEST + "merge:\n", 4, 7, "merge", "must be a mapping of keys", None),
    (SMALLEST + "scoring: {load: 2}\n", 4, 17, "scoring.load", "at most 1", None),
    (SMALLEST + "scoring: {load: 1e999}\n", 4, 17, "scoring.load", "must be", None),
    (
        SMALLEST + "scoring: {priority: 0, capability: 0, load: 0, fairness: 0}\n",
        4,
        10,
        "scoring",
        "all weights",
        None,
    ),
    (SMALLEST + "limits: {max_attempts: 1.5}\n", 4, 24, "limits.max_attempts", "whole number", None),
    (SMALLEST + "timeouts: {ack: 2}\n", 4, 17, "timeouts.ack", "duration with its unit", None),
    (SMALLEST + "timeouts: {ack: 10 minutes}\n", 4, 17, "timeouts.ack", "duration with its unit", None),
    (SMALLEST + "timeouts: {attempt: 99d}\n", 4, 21, "timeouts.attempt", "between 1s and 30d", None),
    (SMALLEST + "timeouts:\n  stall: 9h\n", 5, 3, "timeouts.stall", "longer than `attempt` (8h)", None),
    (SMALLEST + "digest: {quiet_hours: 22:00-07:00}\n", 4, 23, "digest.quiet_hours", "time of day and a zone", None),
    (SMALLEST + 'digest: {quiet_hours: "07:00-07:00 UTC"}\n', 4, 23, None, "same time", "remove `quiet_hours`"),
    (SMALLEST + 'digest: {quiet_hours: "22:00-07:00 Mars/Base"}\n', 4, 23, None, "`Mars/Base` is not", None),
    (SMALLEST + 'digest: {quiet_hours: "22:00-07:00 /etc/passwd"}\n', 4, 23, None, "is not a time zone", None),
    (
        SMALLEST + 'escalation: {fallback: ["@alice"]}\n',
        4,
        25,
        "escalation.fallback[0]",
        "must be a login",
        "write `alice`",
    ),
    (SMALLEST + "escalation: {channels: [slak]}\n", 4, 25, None, "webhook, slack, email", "`slack`?"),
    (
        SMALLEST + "escalation: {on_call: {people: [a], start: 2026-02-30}}\n",
        4,
        44,
        "escalation.on_call.start",
        "must be a day such as 2026-01-05",
        None,
    ),
    (
        SMALLEST + "escalation: {on_call: {people: [a], start: 2026-01-05, rotation: 12h}}\n",
        4,
        66,
        "escalation.on_call.rotation",
        "whole days or weeks",
        None,
    ),
    (
        SMALLEST + "escalation: {on_call: {people: [a], start: 2026-01-05, zone: Berlin}}\n",
        4,
        62,
        "escalation.on_call.zone",
        "`Berlin` is not a time zone",
        "Europe/Berlin",
    ),
    (SMALLEST + "classification: {functional: [x]}\n", 4, 31, None, "2 to 60 characters", None),
    (SMALLEST + "dry_run: 1\n", 4, 10, "dry_run", "true or false", None),
]


@pytest.mark.parametrize(("text", "line", "column", "key_path", "message", "suggestion"), MISTAKES)
def test_a_mistake_has_its_place_and_a_way_out(
    text: str, line: int, column: int, key_path: str | None, message: str, suggestion: str | None
) -> None:
    found = next((problem for problem in mistakes(text) if message in problem.message), None)
    assert found is not None, [str(problem) for problem in mistakes(text)]
    assert (found.line, found.column) == (line, column)
    assert key_path in {None, found.key_path}
    assert (suggestion or "") in (found.suggestion or "")


def test_all_mistakes_come_together_in_the_order_of_the_file() -> None:
    found = mistakes("version: 3\nagents:\n  a: {adapter: pull, roles: [x]}\nlimits: {max_attempts: 0}\nfoo: 1\n")
    assert [problem.line for problem in found] == [1, 3, 4, 5]


def test_the_error_reads_like_a_compiler_s() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_repository_config(SMALLEST + "merg: {}\n", "orchestrator.yml")
    assert str(caught.value) == "orchestrator.yml:4:1: `merg`: unknown key `merg`; did you mean `merge`?"


def test_very_many_mistakes_are_cut_off_and_counted() -> None:
    found = mistakes("version: 1\nagents: {}\n" + "".join(f"k{number}: 1\n" for number in range(MAX_PROBLEMS + 30)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].message == "and 30 more problems after this one"


def test_configured_text_cannot_break_out_of_the_message() -> None:
    (problem,) = mistakes(SMALLEST + '"`@everyone`\\n<b>' + "x" * 100 + '": 1\n')
    assert "\n" not in str(problem)
    assert "`@" not in str(problem)
    assert len(problem.key_path) <= 60


def test_quiet_hours_over_midnight_in_their_own_zone() -> None:
    night = DigestSettings(quiet_hours="22:00-07:00 Europe/Berlin")
    assert night.is_quiet(datetime(2026, 1, 5, 21, 0, tzinfo=UTC)), "22:00 in Berlin"
    assert not night.is_quiet(datetime(2026, 1, 5, 20, 59, tzinfo=UTC))
    assert not night.is_quiet(datetime(2026, 1, 5, 6, 0, tzinfo=UTC)), "the end no longer belongs to it"
    assert night.is_quiet(datetime(2026, 7, 5, 20, 0, tzinfo=UTC)), "22:00 in summer"
    assert not DigestSettings().is_quiet(datetime(2026, 1, 5, 3, 0, tzinfo=UTC))
    assert DigestSettings(quiet_hours="12:00-13:00 UTC").is_quiet(datetime(2026, 1, 5, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("quiet", "last", "due"),
    [
        (None, "2026-03-02T09:00Z", "2026-03-02T11:00Z"),
        ("22:00-07:00 Europe/Berlin", "2026-03-02T18:59Z", "2026-03-02T20:59Z"),
        ("22:00-07:00 Europe/Berlin", "2026-03-02T19:00Z", "2026-03-03T06:00Z"),
        ("22:00-07:00 Europe/Berlin", "2026-03-03T03:00Z", "2026-03-03T06:00Z"),
        ("22:00-07:00 Europe/Berlin", "2026-03-28T20:00Z", "2026-03-29T05:00Z"),  # the night has an hour less
        ("22:00-07:00 Europe/Berlin", "2026-10-24T19:00Z", "2026-10-25T06:00Z"),  # and an hour more
        ("01:00-02:30 Europe/Berlin", "2026-03-28T22:30Z", "2026-03-29T01:30Z"),  # 02:30 does not exist: 03:30 it is
        ("01:00-02:30 Europe/Berlin", "2026-10-24T22:10Z", "2026-10-25T00:30Z"),  # the first 02:30 of two
        ("01:00-02:30 Europe/Berlin", "2026-10-24T23:10Z", "2026-10-25T01:30Z"),  # 02:10 again: till the second one
        ("12:00-13:00 UTC", "2026-03-02T10:00Z", "2026-03-02T13:00Z"),
    ],
)
def test_a_digest_that_falls_into_the_quiet_hours_comes_at_their_end(quiet: str | None, last: str, due: str) -> None:
    progress = DigestSettings(quiet_hours=quiet)
    found = progress.next_due_at(datetime.fromisoformat(last))
    assert found == datetime.fromisoformat(due)
    assert not progress.is_quiet(found)


def test_at_no_time_of_a_year_are_quiet_hours_without_an_end() -> None:
    progress = DigestSettings(quiet_hours="01:30-02:15 Europe/Berlin")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year == 2026:
        awake = progress.quiet_hours_end(at)
        assert at <= awake <= at + timedelta(hours=2)
        assert not progress.is_quiet(awake)
        at += timedelta(minutes=55)
