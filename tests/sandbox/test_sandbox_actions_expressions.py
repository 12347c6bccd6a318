"""Expressions of workflow files."""

from typing import Any

import pytest

from sandbox.actions.expressions import ExpressionError, condition, evaluate, interpolate

CONTEXT: dict[str, Any] = {
    "github": {
        "sha": "abc",
        "event": {"client_payload": {"task": 12, "agent": "codex", "labels": [{"name": "P0"}]}},
    },
    "inputs": {"agent": "codex", "dry": False},
    "job": {"status": "success"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("github.sha", "abc"),
        ("github.event.client_payload.task", 12),
        ("github.event['client_payload'].agent", "codex"),
        ("github.event.client_payload.nothing.deeper", None),
        ("inputs.agent == 'CODEX'", True),
        ("inputs.agent != 'codex' || inputs.dry", False),
        ("inputs.dry && 'yes' || 'no'", "no"),
        ("!inputs.dry && (1 < 2)", True),
        ("'it''s'", "it's"),
        ("contains(github.event.client_payload.labels.*.name, 'P0')", True),
        ("startsWith(inputs.agent, 'co')", True),
        ("format('{0}-{1} {{}}', inputs.agent, 3)", "codex-3 {}"),
        ("fromJSON('{\"a\": [1, 2]}').a[1]", 2),
        ("join(fromJSON('[1, 2]'), '-')", "1-2"),
        ("github.event.client_payload.task >= 12", True),
    ],
)
def test_expressions_have_the_values_of_github(source: str, value: object) -> None:
    assert evaluate(source, CONTEXT) == value


def test_interpolation_prints_values_as_github_does() -> None:
    template = "Task ${{ github.event.client_payload.task }} by ${{ inputs.agent }}${{ null }} ${{ true }}"
    assert interpolate(template, CONTEXT) == "Task 12 by codex true"


@pytest.mark.parametrize("source", ["github.", "(1", "1 2", "secret.x", "nope(1)", "fromJSON('{')", "a $ b", ")"])
def test_an_invalid_expression_raises_an_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(source, CONTEXT)


def test_a_condition_is_false_after_a_failure_without_a_status_function() -> None:
    failed = {**CONTEXT, "job": {"status": "failure"}}
    assert condition(None, CONTEXT)
    assert not condition(None, failed)
    assert not condition("inputs.agent == 'codex'", failed)
    assert condition("${{ always() }}", failed)
    assert condition("failure()", failed)
    assert not condition("failure()", CONTEXT)
    assert not condition(False, CONTEXT)
