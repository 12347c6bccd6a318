"""The repository of the stories, `acme/shop`: its files, its configuration, and the text of a task."""

from __future__ import annotations

from typing import Any

import yaml

CONFIG = """\
version: 1
agents:
  codex: {adapter: actions, event: agent-task, capabilities: [python, tests], max_tasks: 2}
  claude: {adapter: actions, workflow: agent.yml, capabilities: [python, docs]}
merge: {auto: true}
escalation: {fallback: [alice]}
digest: {enabled: false}
"""
AGENT_WORKFLOW = """\
name: agent
run-name: >-
  task/${{ github.event.client_payload.task || inputs.task
  }}-${{ github.event.client_payload.attempt || inputs.attempt }}
on:
  repository_dispatch: {types: [agent-task]}
  workflow_dispatch:
    inputs:
      task: {type: string}
      attempt: {type: string}
      agent: {type: string}
      branch: {type: string}
      base: {type: string}
      packet: {type: string}
jobs:
  work:
    runs-on: ubuntu-latest
    steps: [{run: "true"}]
"""
CI_WORKFLOW = """\
name: CI
on: pull_request
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - {name: tests, run: "true"}
"""
CONFIG_PATH = ".github/orchestrator.yml"
WORKFLOWS = {".github/workflows/agent.yml": AGENT_WORKFLOW, ".github/workflows/ci.yml": CI_WORKFLOW}
CODE = {"README.md": "# shop\n", "shop/cart.py": "def total(prices):\n    return sum(prices)\n"}
FILES = {**CODE, **WORKFLOWS, CONFIG_PATH: CONFIG}


def config(**sections: Any) -> str:
    """The configuration with these sections instead of its own."""
    return yaml.safe_dump({**yaml.safe_load(CONFIG), **sections}, sort_keys=False)


_HEADINGS = {
    "needs": "Required capabilities",
    "wishes": "Preferred capabilities",
    "depends_on": "Dependencies",
    "priority": "Priority",
    "files": "Files",
}


def body(
    goal: str = "Make it so.", criteria: tuple[str, ...] = ("it is so",), *, ticked: bool = True, **more: str
) -> str:
    """A task as the issue form would render it; further sections by keyword, `depends_on="#1"`."""
    checkbox = "x" if ticked else " "
    lines = [f"### Goal\n\n{goal}"]
    if criteria:
        lines.append("### Acceptance criteria\n\n" + "\n".join(f"- [{checkbox}] {c}" for c in criteria))
    lines += [f"### {_HEADINGS[key]}\n\n{value}" for key, value in more.items()]
    return "\n\n".join(lines) + "\n"
