"""Ready-made scripts: an agent that does its task, and agents that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.actors.agents.scripted import AgentWork

Content = str | Callable[[str], str]
Files = Mapping[str, Content]


async def _push_files(work: AgentWork, files: Files, message: str) -> None:
    await work.clone()
    for path, content in files.items():
        work.write(path, content if isinstance(content, str) else content(work.read(path)))
    await work.think()
    await work.commit(message)
    await work.push()


@dataclass(frozen=True, slots=True)
class WritesFiles:
    """Writes files (a text, or a function of the old text), pushes and opens a pull request.

    When the packet carries feedback of an earlier attempt, `fixes` are written as well, over `files`. The
    pull request's text closes the task's issue, unless `text` says something else.
    """

    files: Files
    fixes: Files = field(default_factory=dict)
    title: str | None = None
    text: str | None = None

    async def __call__(self, work: AgentWork) -> None:
        """Do the work."""
        files = {**self.files, **self.fixes} if work.feedback else self.files
        title = self.title or f"Task #{work.task}"
        await _push_files(work, files, f"{title} (attempt {work.attempt})")
        await work.open_pull(title, f"Closes #{work.task}" if self.text is None else self.text)


@dataclass(frozen=True, slots=True)
class Crashes:
    """Crashes at once, or after it has pushed some files."""

    files: Files = field(default_factory=dict)

    async def __call__(self, work: AgentWork) -> None:
        """Crash."""
        if self.files:
            await _push_files(work, self.files, f"Half of task #{work.task}")
        else:
            await work.think()
        work.crash()


@dataclass(frozen=True, slots=True)
class Stalls:
    """Starts and then does nothing until its run is cancelled."""

    async def __call__(self, work: AgentWork) -> None:
        """Stall."""
        work.log("Thinking …")
        await work.stall()


@dataclass(frozen=True, slots=True)
class RandomOutput:
    """Pushes to an invented branch and opens a pull request that names no issue."""

    files: Files = field(default_factory=lambda: {"nonsense.txt": "I was asked to do something.\n"})

    async def __call__(self, work: AgentWork) -> None:
        """Do unrelated work."""
        work.payload = {**work.payload, "branch": f"improvements-{work.id}"}
        await _push_files(work, self.files, "Various improvements")
        await work.open_pull("Various improvements", "This improves things.")


@dataclass(frozen=True, slots=True)
class FinishesWithoutPull:
    """Succeeds without a pull request (with only a branch when it has files)."""

    files: Files = field(default_factory=dict)

    async def __call__(self, work: AgentWork) -> None:
        """Finish."""
        if self.files:
            await _push_files(work, self.files, f"Task #{work.task}")
        else:
            await work.think()
        work.log("All done!")


@dataclass(frozen=True, slots=True)
class Plans:
    """Writes a plan for the agent that implements the task."""

    text: str

    async def __call__(self, work: AgentWork) -> None:
        """Plan."""
        await work.think()
        await work.answer("plan", self.text)
