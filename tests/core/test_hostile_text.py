"""The corpus of hostile inputs against the rules that read text."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr, ValidationError

from adapters.agents.base import CannotStart
from adapters.agents.run_results import answer_key, read_answer
from adapters.agents.service_client import PublicResolver, refuse_inside
from bot.http.heartbeat import Heartbeat
from config.problems import ConfigError
from config.repository import parse_repository_config
from config.task_templates import parse_template
from core.commands.checkboxes import boxes_in, ticked
from core.commands.parser import parse_commands
from core.commands.registry import COMMANDS, WHOLE
from core.escalation.codeowners import owners_of
from core.handoff.failure_log import excerpt
from core.intake.parser import parse
from core.intake.references import closing_references, parse_branch
from core.text_safety.sanitize import BODY_LIMIT, clean, defuse, mask_secrets, one_line
from core.texts.retrospective import ticked_items
from tests.corpus import at, entries, hostile

KEY = SecretStr("a-webhook-secret")


def _answer(text: str) -> list[str]:
    found = read_answer(text.replace("{key of 1-1}", answer_key(KEY, 1, 1, 1)))
    return ["none" if found is None else "genuine" if found.is_genuine([KEY], 1) else "forged"]


def _log(text: str) -> list[str]:
    read = excerpt(text)
    return [read.first_error or "", *read.failing_tests, read.tail]


def _files(paths: list[str]) -> list[str]:
    read = parse("### Files\n\n" + "\n".join(f"- {path}" for path in paths))
    assert len(read.problems) >= len(paths)
    return list(read.files)


def _capabilities(names: list[str]) -> list[str]:
    read = parse("### Required capabilities\n\n" + "\n".join(names))
    assert len(read.problems) >= len(names)
    return list(read.required)


def _refusal(read: Callable[[str], object]) -> Callable[[str], list[str]]:
    def refused(text: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            read(text)
        return [str(error.value)]

    return refused


async def _resolved(host: str) -> str:
    found = await PublicResolver().resolve(host, 443)
    return ", ".join(one["host"] for one in found)


def _addresses(urls: list[str]) -> list[str]:
    """Those of the addresses that work would be sent to."""
    reached = []
    for url in urls:
        with contextlib.suppress(CannotStart, OSError):
            refuse_inside(url)
            reached.append(asyncio.run(_resolved(urlsplit(url).hostname or "")))
    return reached


def _heartbeats(bodies: list[str]) -> list[str]:
    """Those of the bodies that are taken."""
    taken = []
    for body in bodies:
        with contextlib.suppress(ValidationError):
            taken.append(str(Heartbeat.model_validate_json(body)))
    return taken


# What comes of an input, by the door that it enters by: nothing, or what is done, kept, shown.
DOORS: dict[str, Callable[[Any], list[str]]] = {
    "clean": lambda text: [clean(text)],
    "one line": lambda text: [one_line(text)],
    "commands": lambda text: [f"/{c.name} {c.argument}".strip() for c in parse_commands(text, COMMANDS, WHOLE)],
    "answer": _answer,
    "boxes": lambda text: [b.word for b in (*ticked("", text), *(b for b, done in boxes_in(text).items() if not done))],
    "references": lambda text: [str(n) for n in closing_references(text, "acme/shop", "https://github.com")],
    "branches": lambda names: [str(found) for name in names if (found := parse_branch(name))],
    "files": _files,
    "capabilities": _capabilities,
    "dependencies": lambda text: [str(d.number) for d in parse(text).dependencies],
    "log": _log,
    "owners": lambda text: list(owners_of(text, ["shop/" + "a" * 200])),
    "configuration": _refusal(lambda text: parse_repository_config(text, "orchestrator.yml")),
    "addresses": _addresses,
    "heartbeats": _heartbeats,
    "template": _refusal(lambda text: parse_template(text, "voucher.yml")),
}


@pytest.mark.parametrize("name", at(*DOORS))
def test_what_comes_of_a_hostile_input(name: str) -> None:
    entry = entries()[name]
    results = DOORS[entry["door"]](hostile(name))
    told = "\n".join(results)
    assert {"gives", "keeps", "loses", "count"} & entry.keys(), "an entry has to say what must come of it"
    assert entry.get("gives", told) == told
    assert entry.get("count", len(results)) == len(results)
    for kept in entry.get("keeps", ()):
        assert kept in told
    for lost in entry.get("loses", ()):
        assert lost not in told


# Time is not measured here, because a slow machine would fail it. Each of these took minutes once, or would if the
# square of its length or more were needed: then the test does not come to its end.
READERS: tuple[Callable[[str], object], ...] = (
    clean,
    one_line,
    defuse,
    mask_secrets,
    parse,
    boxes_in,
    ticked_items,
    lambda text: parse_commands(text, COMMANDS, WHOLE),
    lambda text: closing_references(text, "acme/shop"),
)


@pytest.mark.parametrize("name", at("every reader"))
def test_no_reader_is_held_up(name: str) -> None:
    text = hostile(name)
    assert len(text) <= BODY_LIMIT
    for read in READERS:
        read(text)


@pytest.mark.parametrize("name", at("long log"))
def test_no_log_holds_up_its_reader(name: str) -> None:
    read = excerpt(hostile(name))
    assert len(read.tail) <= 6000
    assert len(read.tail.split("\n")) <= 60


def test_every_entry_has_a_test() -> None:
    here = {*DOORS, "every reader", "long log"}
    elsewhere = {"body", "headers", "odd body", "pages", "story"}  # test_hostile_deliveries, _pages, _stories
    assert {entry["door"] for entry in entries().values()} == here | elsewhere
    assert len(entries()) >= 50
