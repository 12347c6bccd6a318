"""How the demo's agents know what to write: they are scripted, and have a crib."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo import files as demo_files
from sandbox.actors.agents import AgentWork


@dataclass(frozen=True, slots=True)
class Edit:
    """A change inside a file that is there: `text` goes in right behind `after`, wherever that stands by then."""

    path: str
    after: str
    text: str

    def made_in(self, old: str) -> str:
        """The file with it. Raises ValueError where the place is not there once."""
        if old.count(self.after) != 1:
            raise ValueError(f"{self.path} has {self.after!r} {old.count(self.after)} times, not once")
        return old.replace(self.after, self.after + self.text)


@dataclass(frozen=True, slots=True)
class Solutions:
    """What there is to write for one task.

    `folder` of `shop/work` has new files, `first` one that lies over it at first (or None), and `lesson` is the failing
    test that the feedback has to name before the agent does better. `edits` are made in files that are there.
    """

    folder: str
    first: str | None = None
    lesson: str = ""
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Implements:
    """Does the work that the hand-off describes, with real commits on a real branch, and opens a pull request."""

    cribs: Mapping[str, Solutions]  # by the title of a task

    async def __call__(self, work: AgentWork) -> None:
        """Do the work."""
        packet = work.packet
        title = packet["task"]["title"]
        crib = self.cribs[title]
        files = demo_files.work(crib.folder)
        if crib.first and crib.lesson not in json.dumps(work.feedback or {}):
            files |= demo_files.work(crib.first)
        await work.clone()
        await work.think()
        for path, text in files.items():
            work.write(path, text)
        for edit in crib.edits:
            # In what the branch begins with: after a conflict that is `main` as it is by then.
            work.write(edit.path, edit.made_in(work.read(edit.path)))
        await work.commit(f"{title}\n\n{packet['goal']}")
        await work.push()
        learnt = (
            f"\n\nThe last attempt failed at `{crib.lesson}`; this one fixes it."
            if crib.first and work.feedback
            else ""
        )
        await work.open_pull(title, f"{packet['goal']}{learnt}\n\n{packet['report']['closing_line']}")
