"""The workflows of every repository, as the commits have them and as the API lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.actions.workflow import FOLDER, WorkflowFile, parse_workflow

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox
    from sandbox.state.models import Repository

LOG_TICKET_LIFE = timedelta(minutes=1)
DEFAULT_CI = """
name: CI
on: {push: {branches: [DEFAULT]}, pull_request: }
jobs: {test: {runs-on: ubuntu-latest, steps: [{name: tests, run: "true"}]}}
"""


@dataclass(eq=False, slots=True)
class Workflow:
    """A workflow as the API lists it: it keeps its id while its file changes."""

    id: int
    repository: Repository
    path: str
    name: str
    created_at: datetime
    updated_at: datetime
    state: str = "active"
    runs: int = 0


class Catalogue:
    """Knows the workflow files of commits, the workflows they make, and the tickets for logs."""

    def __init__(self, hub: Sandbox) -> None:
        self.hub = hub
        self.workflows: dict[int, Workflow] = {}
        self._tickets: dict[str, tuple[str, datetime]] = {}
        self._parsed: dict[tuple[int, str], list[WorkflowFile]] = {}

    async def files(self, repository: Repository, sha: str) -> list[WorkflowFile]:
        """The workflow files of a commit; a scripted CI without a file is given one."""
        key = (repository.id, sha)
        if key not in self._parsed:
            found = []
            for _, kind, _, _, name in await repository.git.tree(sha, FOLDER):
                if kind == "blob" and name.endswith((".yml", ".yaml")):
                    source = await repository.git.blob(sha, f"{FOLDER}/{name}") or b""
                    found.append(parse_workflow(f"{FOLDER}/{name}", source.decode(errors="replace")))
            self._parsed[key] = found
        files = self._parsed[key]
        if repository.id in self.hub.ci_scripts and not any(
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
        for known in self.workflows.values():
            if known.repository is repository and known.path == file.path:
                known.name = file.name
                return known
        now = self.hub.now()
        made = Workflow(self.hub.new_id(), repository, file.path, file.name, now, now)
        self.workflows[made.id] = made
        return made

    def enabled(self, repository: Repository, file: WorkflowFile) -> bool:
        """Whether nobody has disabled the workflow of a file."""
        return self.workflow(repository, file).state == "active"

    def sign(self, what: str) -> str:
        """A ticket for a log, good for a minute of the clock."""
        ticket = f"{self.hub.random.getrandbits(128):032x}"
        self._tickets[ticket] = (what, self.hub.now() + LOG_TICKET_LIFE)
        return ticket

    def signed(self, ticket: str) -> str | None:
        """What a ticket stands for; None when it is unknown or too old."""
        what, until = self._tickets.get(ticket, ("", self.hub.now()))
        return what if until > self.hub.now() else None
