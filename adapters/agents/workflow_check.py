"""Checks whether a workflow file can start an agent, and explains problems."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from config.problems import ConfigError
from config.yaml_reader import Data, read_yaml

INPUTS: Final = ("task", "attempt", "agent", "branch", "base", "packet")  # what a `workflow_dispatch` of ours sends
# Actions that stop when a bot starts them, and the input that lists the bots for which they work.
_BOT_ALLOWLIST_INPUTS: Final = {
    "openai/codex-action": "allow-bot-users",
    "anthropics/claude-code-action": "allowed_bots",
}


def listens_to_event(text: str, path: str, event: str) -> bool:
    """Whether the workflow is started by a `repository_dispatch` of this type; a file that is no YAML is not."""
    try:
        triggers = _triggers(_read(text, path))
    except ConfigError:
        return False
    if "repository_dispatch" not in triggers:
        return False
    types = _options(triggers["repository_dispatch"]).get("types")
    return types is None or event in (types if isinstance(types, list) else [types])


def dispatch_problems(text: str, path: str) -> list[str]:
    """What keeps a `workflow_dispatch` with our inputs from starting it."""
    try:
        triggers = _triggers(_read(text, path))
    except ConfigError as error:
        return [f"`{path}` is not a valid workflow: {error.problems[0]}."]
    if "workflow_dispatch" not in triggers:
        return [f"`{path}` has no `workflow_dispatch` trigger: add it with its inputs under `on`."]
    inputs = _options(_options(triggers["workflow_dispatch"]).get("inputs"))
    missing = [f"`{name}`" for name in INPUTS if name not in inputs]
    return [f"`{path}` lacks inputs of `workflow_dispatch`: add {', '.join(missing)}."] if missing else []


def bot_problems(text: str, path: str, bot_login: str) -> list[str]:
    """Steps that would stop because a bot started them. The values of expressions are unknown here."""
    try:
        document = _read(text, path)
    except ConfigError:
        return []
    problems = []
    for step in _steps(document):
        action = str(step.get("uses") or "").partition("@")[0]
        key = _BOT_ALLOWLIST_INPUTS.get(action)
        if key is None:
            continue
        value = str(_options(step.get("with")).get(key) or "")
        names = {name.lower().removesuffix("[bot]") for name in re.split(r"[\s,]+", value)}
        if "${{" not in value and not names & {"*", bot_login.lower().removesuffix("[bot]")}:
            problems.append(f"`{action}` in `{path}` ignores bots that it does not list: add `{key}: {bot_login}`.")
    return problems


def _read(text: str, path: str) -> Mapping[str, Data]:
    data = read_yaml(text, path).data
    return data if isinstance(data, dict) else {}


def _options(value: Data) -> Mapping[str, Data]:
    return value if isinstance(value, dict) else {}


def _triggers(document: Mapping[str, Data]) -> Mapping[str, Data]:
    """The events under `on`, which may be one name, a list, or names with options."""
    on = document.get("on")
    names = [on] if isinstance(on, str) else on if isinstance(on, list) else []
    return on if isinstance(on, dict) else {str(name): None for name in names}


def _steps(document: Mapping[str, Data]) -> Iterator[Mapping[str, Data]]:
    for job in _options(document.get("jobs")).values():
        steps = _options(job).get("steps")
        for step in steps if isinstance(steps, list) else []:
            yield _options(step)
