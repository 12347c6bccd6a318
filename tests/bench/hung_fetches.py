"""A command in one repository while git hangs in others: how long until the bot reacts."""

from __future__ import annotations

import asyncio
from time import perf_counter
from unittest.mock import patch

from adapters.git.mirror import Mirror
from sandbox.services import pulls
from sandbox.state.models import Issue
from tests.bench.environment import TIMEOUT_SECONDS, Environment, open_environment
from tests.bench.figure import Figure


async def measure_help(pulls_count: int = 10, runs: int = 5) -> Figure:
    """`/help` in one repository while the fetches for pull requests in two others never end; the slowest run."""
    hanging, finished = set[int](), asyncio.Event()

    async def hang(mirror: Mirror, refs: list[str], token: str | None) -> None:
        hanging.add(mirror.repository_id)
        await finished.wait()

    async with open_environment({}, other_names=("acme/second", "acme/other")) as environment:
        hub, alice, shop, (second, other) = environment.hub, environment.alice, environment.shop, environment.others
        mallory = hub.user("mallory")
        issue = await alice.opens_issue(other, "Hello", "hello")
        with patch.object(Mirror, "_fetch_all", hang):
            for number in range(pulls_count):
                for repository in (shop, second):
                    branch, files = f"patch-{number}", {f"file-{number}.txt": "x\n"}
                    await alice.pushes(repository, branch, files, "x", start="main")
                    title = f"Patch {number}"
                    await pulls.open_pull(hub, repository, mallory, head=branch, base="main", title=title)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while not hanging.issuperset({shop.id, second.id}):
                    await asyncio.sleep(0.01)
            durations = [await _seconds_to_reaction(environment, issue) for _ in range(runs)]
            finished.set()
    details = {"pull_requests": 2 * pulls_count, "repositories_that_hung": len(hanging), "runs": runs, "time": "real"}
    return Figure("help_behind_hung_fetches_ms", 1000 * max(durations), "ms", 1_000, 2_000, details)


async def _seconds_to_reaction(environment: Environment, issue: Issue) -> float:
    started_at = perf_counter()
    comment = await environment.alice.comments(issue, "/help")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not comment.reactions:
            await asyncio.sleep(0.005)
    return perf_counter() - started_at
