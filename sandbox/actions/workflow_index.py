"""The workflows of every repository, as the commits have them and as the API lists them."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime, timedelta
from random import Random

from sandbox.actions.workflow import FOLDER, WorkflowFile, parse_workflow
from sandbox.state.models import Repository
from sandbox.state.workflows import Workflow

LOG_TICKET_LIFETIME = timedelta(minutes=1)
DEFAULT_CI = """
name: CI
on: {push: {branches: [DEFAULT]}, pull_request: }
jobs: {test: {runs-on: ubuntu-latest, steps: [{name: tests, run: "true"}]}}
"""


class WorkflowIndex:
    """The workflow files of commits, the workflows they define, and the tickets for logs.

    A repository in `scripted` (by id) without a CI file gets a default one.
    """

    def __init__(
        self, *, now: Callable[[], datetime], new_id: Callable[[], int], random: Random, scripted: Container[int]
    ) -> None:
        self._now = now
        self._new_id = new_id
        self._random = random
        self._scripted = scripted
        self.workflows: dict[int, Workflow] = {}
        self._tickets: dict[str, tuple[str, datetime]] = {}
        self._parsed: dict[tuple[int, str], list[WorkflowFile]] = {}

    async def files(self, repository: Repository, sha: str) -> list[WorkflowFile]:
        """The workflow files of a commit, with a default CI file for a scripted CI that has none."""
        key = (repository.id, sha)
        if key not in self._parsed:
            parsed = []
            for _, kind, _, _, name in await repository.git.tree(sha, FOLDER):
                if kind == "blob" and name.endswith((".yml", ".yaml")):
                    source = await repository.git.blob(sha, f"{FOLDER}/{name}") or b""
                    parsed.append(parse_workflow(f"{FOLDER}/{name}", source.decode(errors="replace")))
            self._parsed[key] = parsed
        files = self._parsed[key]
        if repository.id in self._scripted and not any(
            file.triggers.keys() & {"push", "pull_request"} for file in files
        ):
            return [
                *files,
                parse_workflow(f"{FOLDER}/ci.yml", DEFAULT_CI.replace("DEFAULT", repository.default_branch)),
            ]
        return files

    async def register(self, repository: Repository) -> list[Workflow]:
        """The repository's workflows: those of the default branch, and those that have ever run."""
        sha = repository.git.ref(f"refs/heads/{repository.default_branch}")
        for file in await self.files(repository, sha) if sha else []:
            self.workflow(repository, file)
        return [workflow for workflow in self.workflows.values() if workflow.repository is repository]

    def workflow(self, repository: Repository, file: WorkflowFile) -> Workflow:
        """The workflow of a file."""
        for workflow in self.workflows.values():
            if workflow.repository is repository and workflow.path == file.path:
                workflow.name = file.name
                return workflow
        now = self._now()
        made = Workflow(self._new_id(), repository, file.path, file.name, now, now)
        self.workflows[made.id] = made
        return made

    def enabled(self, repository: Repository, file: WorkflowFile) -> bool:
        """Whether the workflow of a file is enabled."""
        return self.workflow(repository, file).state == "active"

    def sign(self, what: str) -> str:
        """A ticket for a log, valid for a minute of the clock."""
        ticket = f"{self._random.getrandbits(128):032x}"
        self._tickets[ticket] = (what, self._now() + LOG_TICKET_LIFETIME)
        return ticket

    def signed(self, ticket: str) -> str | None:
        """The log that a ticket is for; None when it is unknown or expired."""
        what, until = self._tickets.get(ticket, ("", self._now()))
        return what if until > self._now() else None
