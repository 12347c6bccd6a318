"""Durations, labels, the service's own agents, and the generated documentation."""

import json
import re
from datetime import timedelta
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.agents import DEFAULT_AGENTS_FILE, load_default_agents
from config.durations import format_duration, parse_duration
from config.labels import (
    FIXED_LABELS,
    MAX_LABEL_LENGTH,
    MAX_NAME_LENGTH,
    agent_label,
    capability_label,
    is_bot_label,
    label_definition,
)
from config.problems import ConfigError
from tools.docs import configuration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("2m", 120),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86_400),
        ("1h30m", 5400),
        ("1d1s", 86_401),
    ],
)
def test_durations_as_people_write_them(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "2", "m", "2 m", "-2m", "0s", "31d", "1.5h", "1m1h", "2M", "2m\n", "٢m", "9" * 99 + "d"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


@given(st.integers(1, 30 * 86_400))
def test_a_written_duration_is_read_as_it_was(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_less_than_a_second_is_written_as_none() -> None:
    assert format_duration(timedelta(milliseconds=10)) == "0s"


def test_every_label_is_one_that_github_takes() -> None:
    assert len(FIXED_LABELS) == 18
    assert len({label.name.lower() for label in FIXED_LABELS}) == len(FIXED_LABELS)
    longest = "x" * MAX_NAME_LENGTH
    for label in (*FIXED_LABELS, label_definition(capability_label(longest)), label_definition(agent_label(longest))):
        assert re.fullmatch("[0-9a-f]{6}", label.colour), label
        assert 1 <= len(label.description) <= 100, label
        assert len(label.name) <= MAX_LABEL_LENGTH, label
        assert is_bot_label(label.name)


def test_labels_of_capabilities_and_agents() -> None:
    assert capability_label("python") == "needs:python"
    assert agent_label("codex") == "agent:codex"


@pytest.mark.parametrize(
    "name", ["TASK", "p0", "Status:Ready", "needs:c++", "agent:x", "type:functional", "status:old"]
)
def test_labels_that_are_ours_in_any_case(name: str) -> None:
    assert is_bot_label(name)


@pytest.mark.parametrize("name", ["bug", "P3", "", "my status:ready", "tasks", "need:python", "agents"])
def test_labels_that_are_not(name: str) -> None:
    assert not is_bot_label(name)
    with pytest.raises(ValueError, match="is not a label of the orchestrator"):
        label_definition(name)


def test_the_service_s_own_agents_are_valid() -> None:
    assert load_default_agents() == {}


def test_the_commented_agents_of_the_service_are_valid_too(tmp_path: Path) -> None:
    text = DEFAULT_AGENTS_FILE.read_text(encoding="utf-8")
    file = tmp_path / "agents.yml"
    file.write_text(re.sub(r"(?m)^#  ", "  ", text).replace("agents: {}", "agents:"))
    assert list(load_default_agents(file)) == ["codex", "claude"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nagents:\n  a: {adapter: pul}\n", ":3:16: `agents.a.adapter`: must be one of"),
        (
            "version: 1\nagents: {}\nmerge: {}\n",
            ":3:1: `merge`: unknown key `merge`; valid keys are `agents`, `version`",
        ),
        (b"\xff", ":1:1: the file cannot be read: not UTF-8"),
        (None, ":1:1: the file cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_in_the_service_s_agents_names_file_and_line(
    tmp_path: Path, text: str | bytes | None, expected: str
) -> None:
    file = tmp_path / "agents.yml"
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load_default_agents(file)
    assert str(caught.value).startswith(f"{file}{expected}")


def test_the_generated_documentation_is_fresh() -> None:
    for path, text in configuration.generated_files().items():
        assert path.is_file(), f"{path.name} is missing: run make docs"
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run make docs"


def test_docs_are_checked_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(configuration, "ROOT", tmp_path)
    assert configuration.main(["--check"]) == 1
    assert "docs/configuration.md is stale; run `make docs`" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists(), "checking writes nothing"
    assert configuration.main(["--write"]) == 0
    assert configuration.main(["--check"]) == 0


def test_the_schema_and_the_reader_agree() -> None:
    validator = jsonschema_rs.validator_for(configuration.json_schema())
    example = yaml.safe_load(configuration.EXAMPLE.read_text(encoding="utf-8"))
    validator.validate(example)
    json.loads((configuration.ROOT / "config" / "orchestrator.schema.json").read_text(encoding="utf-8"))
    for wrong in (
        {},
        {**example, "version": 2},
        {**example, "merg": {}},
        {**example, "agents": {"Codex": {"adapter": "pull"}}},
        {**example, "agents": {"codex": {"adapter": "pul"}}},
        {**example, "timeouts": {"ack": "2 minutes"}},
        {**example, "timeouts": {"ack": 2}},
        {**example, "limits": {"max_attempts": 0}},
    ):
        assert not validator.is_valid(wrong), wrong
