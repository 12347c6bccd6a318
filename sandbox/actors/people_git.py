"""What people do with code and pull requests: the verbs of `Person` that need git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.http.errors import ApiError, not_found
from sandbox.services import merges, pulls, reviews
from sandbox.services.pushes import after_push
from sandbox.state.models import PullRequest, Repository, Review, Role, User, WorkflowRun, role_at_least


def require_role(person: User, repository: Repository, role: Role) -> None:
    """Raise ApiError when a person's role in the repository does not include `role`."""
    own_role = repository.role_of(person)
    if own_role == "none":
        raise not_found()
    if not role_at_least(own_role, role):
        raise ApiError(403, f"{person.login} has {own_role} on {repository.full_name}; this needs {role}")


class CodeActions(User):
    """Verbs on code and pull requests. Each raises ApiError where GitHub would refuse."""

    async def pushes(
        self,
        repository: Repository,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str = "Change files",
        *,
        start: str | None = None,
    ) -> str:
        """Commit files (None deletes one) to a branch and push; gives the new SHA.

        A new branch begins at the branch or commit `start`, or at the default branch.
        """
        require_role(self, repository, "write")
        git = repository.git
        async with git.lock:
            start_sha = None if start is None else await git.resolve(start)
            change = await git.write_commit(
                branch, files, message, author=pulls.identity(self), when=self.hub.now(), start=start_sha
            )
        await after_push(self.hub, repository, [change], self)
        return change.after

    async def deletes_branch(self, repository: Repository, branch: str) -> None:
        """Delete a branch; pull requests from it are closed."""
        require_role(self, repository, "write")
        async with repository.git.lock:
            change = await repository.git.update_ref(f"refs/heads/{branch}", "0" * 40, repository.git.head(branch))
        await after_push(self.hub, repository, [change], self)

    async def opens_pull(
        self,
        repository: Repository,
        *,
        head: str,
        title: str,
        body: str | None = None,
        base: str | None = None,
        draft: bool = False,
    ) -> PullRequest:
        """Open a pull request from a branch of the repository; its base is the default branch if not named."""
        require_role(self, repository, "write")
        return await pulls.open_pull(
            self.hub,
            repository,
            self,
            head=head,
            base=base or repository.default_branch,
            title=title,
            body=body,
            draft=draft,
        )

    async def edits_pull(
        self, pull: PullRequest, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> None:
        """Change a pull request's title, text or base: one's own, or any with write."""
        require_role(self, pull.repository, "read" if pull.user is self else "write")
        await pulls.edit(self.hub, pull, self, title=title, body=body, base=base)

    async def closes_pull(self, pull: PullRequest) -> None:
        """Close without merging: one's own, or any with triage."""
        require_role(self, pull.repository, "read" if pull.user is self else "triage")
        pulls.close(self.hub, pull, self)

    async def reopens_pull(self, pull: PullRequest) -> None:
        """Open a closed pull request again."""
        require_role(self, pull.repository, "read" if pull.user is self else "triage")
        await pulls.reopen(self.hub, pull, self)

    async def marks_ready(self, pull: PullRequest) -> None:
        """Mark a draft as ready for review."""
        require_role(self, pull.repository, "read" if pull.user is self else "write")
        pulls.set_draft(self.hub, pull, self, draft=False)

    async def reviews(
        self, pull: PullRequest, event: str, body: str = "", comments: Sequence[dict[str, Any]] = ()
    ) -> Review:
        """Review: APPROVE, REQUEST_CHANGES or COMMENT, with `comments` on lines (`path`, `line`, `body`)."""
        require_role(self, pull.repository, "read")
        return reviews.create_review(self.hub, pull, self, event=event, body=body, comments=comments)

    async def dismisses(self, review: Review, message: str) -> None:
        """Take a verdict back."""
        require_role(self, review.pull.repository, "write")
        reviews.dismiss(self.hub, review, self, message)

    async def requests_review(self, pull: PullRequest, *people: User) -> None:
        """Ask people for a review."""
        require_role(self, pull.repository, "write")
        reviews.request_reviewers(self.hub, pull, self, people)

    async def merges(self, pull: PullRequest, *, method: str = "merge") -> str:
        """Press the merge button; gives the new SHA of the base branch."""
        require_role(self, pull.repository, "write")
        return await merges.merge_pull(self.hub, pull, self, method=method)

    async def reruns(self, run: WorkflowRun, *, failed_only: bool = False) -> None:
        """Run a workflow run again. Raises ApiError 403 while it runs."""
        require_role(self, run.repository, "write")
        if not await self.hub.actions.rerun(run, self, failed_only=failed_only):
            raise ApiError(403, "This workflow is already running")

    async def approves_runs(self, pull: PullRequest) -> None:
        """Press "Approve and run workflows" below a pull request: what waits for it, on its head, runs."""
        require_role(self, pull.repository, "write")
        for run in list(pull.repository.runs.values()):
            if (run.head_sha, run.conclusion) == (pull.head_sha, "action_required"):
                await self.hub.actions.rerun(run, self)

    async def cancels(self, run: WorkflowRun) -> None:
        """Stop a workflow run. Raises ApiError 409 when it is over."""
        require_role(self, run.repository, "write")
        if not self.hub.actions.cancel(run):
            raise ApiError(409, "Cannot cancel a workflow run that is completed.")
