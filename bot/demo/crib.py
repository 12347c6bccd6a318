"""How the demo's agents know what to write: they are scripted, and have a crib."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo import shelf
from sandbox.agents import AgentWork


@dataclass(frozen=True, slots=True)
class Implements:
    """Does the work that the hand-off describes, with real commits on a real branch, and opens a pull request.

    `crib` has, by the title of a task: the folder of the work, one that lies over it at first (or None), and the
    failing test that the feedback has to name before the agent does better.
    """

    crib: Mapping[str, tuple[str, str | None, str]]

    async def __call__(self, work: AgentWork) -> None:
        """Do the work."""
        packet = work.packet
        title = packet["task"]["title"]
        name, first, lesson = self.crib[title]
        files = shelf.work(name)
        if first and lesson not in json.dumps(work.feedback or {}):
            files |= shelf.work(first)
        await work.clone()
        await work.think()
        for path, text in files.items():
            work.write(path, text)
        await work.commit(f"{title}\n\n{packet['goal']}")
        await work.push()
        learnt = f"\n\nThe last attempt failed at `{lesson}`; mended." if first and work.feedback else ""
        await work.open_pull(title, f"{packet['goal']}{learnt}\n\n{packet['report']['closing_line']}")
