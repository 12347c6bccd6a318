"""How the demo's agents know what to write: they are scripted, and have a crib."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo import files as demo_files
from sandbox.actors.agents import AgentWork


@dataclass(frozen=True, slots=True)
class Insertion:
    """A change inside a file that is there: `text` goes in right behind `after`, wherever that stands by then."""

    path: str
    anchor: str
    text: str

    def apply_to(self, content: str) -> str:
        """The file with it. Raises ValueError if the place is not there once."""
        if content.count(self.anchor) != 1:
            raise ValueError(f"{self.path} has {self.anchor!r} {content.count(self.anchor)} times, not once")
        return content.replace(self.anchor, self.anchor + self.text)


@dataclass(frozen=True, slots=True)
class Solutions:
    """What there is to write for one task.

    `folder` of `shop/work` has new files, `first` one that lies over it at first (or None), and `lesson` is the failing
    test that the feedback has to name before the agent does better. `edits` are made in files that are there.
    """

    folder: str
    first_folder: str | None = None
    failing_test: str = ""
    edits: tuple[Insertion, ...] = ()


@dataclass(frozen=True, slots=True)
class ImplementTask:
    """Does the work that the hand-off describes, with real commits on a real branch, and opens a pull request."""

    solutions: Mapping[str, Solutions]  # by the title of a task

    async def __call__(self, work: AgentWork) -> None:
        """Do the work."""
        packet = work.packet
        title = packet["task"]["title"]
        solution = self.solutions[title]
        files = demo_files.solution_files(solution.folder)
        if solution.first_folder and solution.failing_test not in json.dumps(work.feedback or {}):
            files |= demo_files.solution_files(solution.first_folder)
        await work.clone()
        await work.think()
        for path, text in files.items():
            work.write(path, text)
        for insertion in solution.edits:
            # In what the branch begins with: after a conflict that is `main` as it is by then.
            work.write(insertion.path, insertion.apply_to(work.read(insertion.path)))
        await work.commit(f"{title}\n\n{packet['goal']}")
        await work.push()
        feedback_note = (
            f"\n\nThe last attempt failed at `{solution.failing_test}`; this one fixes it."
            if solution.first_folder and work.feedback
            else ""
        )
        await work.open_pull(title, f"{packet['goal']}{feedback_note}\n\n{packet['report']['closing_line']}")
