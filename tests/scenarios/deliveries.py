"""Deliveries that were kept from the bot, and are handed over later in any order: same bytes, same signatures."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp

from adapters.database.codec import task_to_json
from sandbox.state.deliveries import Delivery
from sandbox.state.models import Issue
from tests.scenarios.world import World

UNREACHABLE_URL = "http://127.0.0.1:9/webhook"


@asynccontextmanager
async def withhold_deliveries(world: World) -> AsyncIterator[list[Delivery]]:
    """What is sent meanwhile reaches no bot; afterwards the list holds it, in the order in which it was sent."""
    withheld: list[Delivery] = []
    first_index, webhook_url = len(world.hub.deliveries), world.app.webhook_url
    world.app.webhook_url = UNREACHABLE_URL
    yield withheld
    await world.hub.wait_until_idle()
    world.app.webhook_url = webhook_url
    withheld += world.hub.deliveries[first_index:]


async def send_deliveries(world: World, deliveries: Sequence[Delivery], seed: int) -> None:
    """Each delivery to the bot, which works in between now and then; every one is answered as taken, or as no news."""
    rng = random.Random(seed)
    settle_probability = rng.choice((0.0, 0.1, 0.5))  # together, in heaps, or almost one by one
    async with aiohttp.ClientSession() as session:
        for delivery in deliveries:
            async with session.post(
                f"{world.address}/webhook", data=delivery.body, headers=delivery.headers
            ) as response:
                assert response.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED), await response.text()
            if rng.random() < settle_probability:
                await world.settle()
    await world.settle()


async def compare_state(world: World, issues: Sequence[Issue]) -> dict[int, dict[str, Any]]:
    """All that the order must not touch: of each task, of the labels that GitHub shows, of what the bot said.

    Of commands it is that each was answered; what the answer says may tell that it came late.
    """
    states: dict[int, dict[str, Any]] = {}
    for issue in issues:
        task = task_to_json(await world.task(issue))
        pull = task["pull"] or {}
        hold = task["hold"] or {}
        states[issue.number] = {
            **{key: task[key] for key in _TASK_FIELDS},
            "pull": {key: pull.get(key) for key in _PULL_FIELDS},
            "approved_by": sorted(pull.get("approvals") or {}),
            "hold": {key: hold.get(key) for key in ("held_by", "reason", "is_paused", "blocker")},
            "holder": (task["lease"] or {}).get("agent"),
            "labels": sorted(issue.label_names),
            "state": (issue.state, issue.state_reason),
            "cards": len([c for c in issue.comments if "orchestrator:card" in c.body]),
            "answered": sorted(c.body for c in issue.comments if _FINAL_REACTIONS & {r.content for r in c.reactions}),
            "comments": sorted(text for text in world.comments(issue) if "answer:" not in _comment_key(text)),
        }
    return states


_FINAL_REACTIONS = {"rocket", "confused"}


def _comment_key(text: str) -> str:
    match = re.search(r"orchestrator:key (\S+) ", text)
    return base64.b64decode(match[1] + "==").decode() if match else ""


_TASK_FIELDS = (
    *(
        "title",
        "intake",
        "status",
        "priority",
        "kind",
        "required_capabilities",
        "readiness_problems",
        "depends_on",
        "open_dependencies",
        "flags",
    ),
    *("issue_open", "untracked", "closed_by", "approved_digest", "escalation"),
)
_PULL_FIELDS = ("number", "branch", "head_sha", "checks", "merged", "merge_sha", "open", "draft", "mergeable_sha")
