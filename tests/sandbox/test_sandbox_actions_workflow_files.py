"""Workflow files, valid and invalid."""

import pytest

from sandbox.actions.workflow import parse_workflow

GOOD = """
name: CI
on:
  push: {branches: [main, "release/**"]}
  pull_request:
  workflow_dispatch:
    inputs:
      agent: {required: true, type: string}
run-name: Task ${{ inputs.agent }}
jobs:
  test:
    runs-on: ubuntu-latest
    strategy: {matrix: {python: ["3.11", "3.12"]}}
    steps:
      - uses: actions/checkout@v4
      - name: Tests
        run: pytest -q
  report:
    needs: test
    runs-on: ubuntu-latest
    steps: [{run: echo done}]
"""


def test_a_workflow_file_is_parsed_completely() -> None:
    file = parse_workflow(".github/workflows/ci.yml", GOOD)
    assert file.error is None
    assert set(file.triggers) == {"push", "pull_request", "workflow_dispatch"}
    assert [job.name for job in file.jobs] == ["test (3.11)", "test (3.12)", "report"]
    assert file.jobs[0].steps[1].name == "Tests"
    assert file.jobs[2].steps[0].name == "Run echo done"
    assert file.jobs[2].needs == ("test",)
    assert set(file.inputs) == {"agent"}


def test_triggers_apply_their_filters() -> None:
    file = parse_workflow(".github/workflows/ci.yml", GOOD)
    assert file.matches_event("push", branch="main")
    assert file.matches_event("push", branch="release/1.2")
    assert not file.matches_event("push", branch="work")
    assert file.matches_event("pull_request", action="synchronize", branch="main")
    assert not file.matches_event("pull_request", action="labeled", branch="main")
    assert not file.matches_event("repository_dispatch", action="agent-task")


@pytest.mark.parametrize("on", ["on: push", "on: [push, pull_request]", "'on': {push: }"])
def test_the_key_on_is_not_read_as_a_boolean(on: str) -> None:
    file = parse_workflow("x.yml", f"{on}\njobs: {{a: {{runs-on: x, steps: [{{run: ls}}]}}}}")
    assert file.error is None
    assert file.matches_event("push", branch="main")


def test_path_filters_apply_to_the_changed_files() -> None:
    source = "on: {push: {paths: ['src/**', '!src/docs/**']}}\njobs: {a: {runs-on: x, steps: [{run: ls}]}}"
    file = parse_workflow("x.yml", source)
    assert file.matches_event("push", branch="main", paths=("src/a.py",))
    assert not file.matches_event("push", branch="main", paths=("src/docs/a.md", "README.md"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a: [", "Invalid workflow file"),
        ("- a", "not a mapping"),
        ("jobs: {}", "has no `on:`"),
        ("on: push", "has no `jobs:`"),
        ("on: push\njobs: {a: {runs-on: x}}", "has no `steps:`"),
        ("on: push\njobs: {a: {steps: [{run: ls}]}}", "runs-on"),
        ("on: push\njobs: {a: {runs-on: x, needs: b, steps: [{run: ls}]}}", "not in the file"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: ls, uses: y}]}}", "either `run` or `uses`"),
    ],
)
def test_mistakes_of_a_workflow_file_are_recorded(source: str, message: str) -> None:
    assert message in (parse_workflow("x.yml", source).error or "")
