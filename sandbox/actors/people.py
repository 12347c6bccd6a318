"""What people do: issues, comments, labels, code, pull requests, reviews and workflow runs.

Every method acts with that person's permissions and raises ApiError where GitHub would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import ApiError, not_found
from sandbox.hub import Hub
from sandbox.services import checks, comments, issues, labels, merges, pulls, reviews
from sandbox.services.pushes import process_push
from sandbox.state.models import (
    CheckRun,
    Comment,
    Issue,
    PullRequest,
    Reaction,
    Repository,
    Review,
    Role,
    User,
    WorkflowRun,
    role_at_least,
)


@dataclass(eq=False, kw_only=True)
class Person(User):
    """A person with an account, who acts with the permissions that GitHub gives them."""

    hub: Hub = field(repr=False)

    def require_role(self, repository: Repository, role: Role) -> None:
        """Raise ApiError when this person's role in the repository does not include `role`."""
        own_role = repository.role_of(self)
        if own_role == "none":
            raise not_found()
        if not role_at_least(own_role, role):
            raise ApiError(403, f"{self.login} has {own_role} on {repository.full_name}; this needs {role}")

    async def opens_issue(
        self, repository: Repository, title: str, body: str | None = None, *, labels: Sequence[str] = ()
    ) -> Issue:
        """Open an issue as by an issue form: labels that do not exist are dropped silently."""
        self.require_role(repository, "read")
        issue_labels = issues.existing_labels(repository, labels)
        return issues.open_issue(self.hub, repository, self, title, body, issue_labels=issue_labels)

    async def edits_issue(self, issue: Issue, *, title: str | None = None, body: str | None = None) -> None:
        """Edit the title or body of the person's own issue, or of any with triage."""
        self.require_role(issue.repository, "read" if issue.user is self else "triage")
        issues.edit(self.hub, issue, self, title=title, body=body)

    async def closes(self, issue: Issue, *, reason: str = "completed") -> None:
        """Close an issue."""
        self.require_role(issue.repository, "read" if issue.user is self else "triage")
        issues.close(self.hub, issue, self, reason=reason)

    async def reopens(self, issue: Issue) -> None:
        """Reopen an issue."""
        self.require_role(issue.repository, "read" if issue.user is self else "triage")
        issues.reopen(self.hub, issue, self)

    async def labels(self, issue: Issue, *names: str) -> None:
        """Add labels to an issue; unknown ones are created."""
        self.require_role(issue.repository, "triage")
        labels.label_issue(self.hub, issue, labels.get_or_create_labels(self.hub, issue.repository, self, names), self)

    async def unlabels(self, issue: Issue, *names: str) -> None:
        """Remove labels from an issue. Raises ApiError 404 for one it does not have."""
        self.require_role(issue.repository, "triage")
        for name in names:
            label = issue.repository.label(name)
            if label is None or label not in issue.labels:
                raise ApiError(404, f"Label {name} is not on #{issue.number}")
            labels.unlabel_issue(self.hub, issue, label, self)

    async def assigns(self, issue: Issue, *people: User) -> None:
        """Assign people."""
        self.require_role(issue.repository, "triage")
        issues.assign(self.hub, issue, people, self)

    async def unassigns(self, issue: Issue, *people: User) -> None:
        """Unassign people."""
        self.require_role(issue.repository, "triage")
        issues.unassign(self.hub, issue, people, self)

    async def blocks(self, issue: Issue, *, blocker: Issue) -> None:
        """Mark an issue as blocked by another."""
        self.require_role(issue.repository, "triage")
        issues.block(self.hub, issue, blocker, self)

    async def unblocks(self, issue: Issue, *, blocker: Issue) -> None:
        """Remove that dependency."""
        self.require_role(issue.repository, "triage")
        issues.unblock(self.hub, issue, blocker, self)

    async def adds_sub_issue(self, parent: Issue, child: Issue) -> None:
        """Make an issue a sub-issue of another."""
        self.require_role(parent.repository, "triage")
        issues.add_sub_issue(self.hub, parent, child, self)

    async def comments(self, issue: Issue, body: str) -> Comment:
        """Comment on an issue or pull request."""
        self.require_role(issue.repository, "read")
        return comments.create(self.hub, issue, self, body)

    async def edits_comment(self, comment: Comment, body: str) -> None:
        """Edit a comment: the person's own, or any with write."""
        self.require_role(comment.issue.repository, "read" if comment.user is self else "write")
        comments.edit(self.hub, comment, self, body)

    async def deletes_comment(self, comment: Comment) -> None:
        """Delete a comment: the person's own, or any with write."""
        self.require_role(comment.issue.repository, "read" if comment.user is self else "write")
        comments.delete(self.hub, comment, self)

    async def reacts(self, subject: Issue | Comment, content: str) -> Reaction:
        """React: +1 -1 laugh hooray confused heart rocket eyes."""
        repository = subject.repository if isinstance(subject, Issue) else subject.issue.repository
        self.require_role(repository, "read")
        return comments.react(self.hub, subject.reactions, self, content)[0]

    async def presses(self, check_run: CheckRun, identifier: str) -> None:
        """Press a button of a completed check run."""
        self.require_role(check_run.repository, "write")
        checks.request_action(self.hub, check_run, identifier, self)

    # Code and pull requests

    async def pushes(
        self,
        repository: Repository,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str = "Change files",
        *,
        start: str | None = None,
    ) -> str:
        """Commit files (None deletes one) to a branch, push, and return the new SHA.

        A new branch begins at the branch or commit `start`, or at the default branch.
        """
        self.require_role(repository, "write")
        git = repository.git
        async with git.lock:
            start_sha = None if start is None else await git.resolve(start)
            change = await git.write_commit(
                branch, files, message, author=pulls.identity(self), when=self.hub.now(), start=start_sha
            )
        await process_push(self.hub, repository, [change], self)
        return change.after

    async def deletes_branch(self, repository: Repository, branch: str) -> None:
        """Delete a branch; pull requests from it are closed."""
        self.require_role(repository, "write")
        async with repository.git.lock:
            change = await repository.git.update_ref(f"refs/heads/{branch}", "0" * 40, repository.git.head(branch))
        await process_push(self.hub, repository, [change], self)

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
        self.require_role(repository, "write")
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

    async def edits_pull(self, pull: PullRequest, *, title: str | None = None, body: str | None = None) -> None:
        """Edit a pull request's title or text: the person's own, or any with write."""
        self.require_role(pull.repository, "read" if pull.user is self else "write")
        await pulls.edit(self.hub, pull, self, title=title, body=body)

    async def closes_pull(self, pull: PullRequest) -> None:
        """Close without merging: the person's own, or any with triage."""
        self.require_role(pull.repository, "read" if pull.user is self else "triage")
        pulls.close(self.hub, pull, self)

    async def reopens_pull(self, pull: PullRequest) -> None:
        """Open a closed pull request again."""
        self.require_role(pull.repository, "read" if pull.user is self else "triage")
        await pulls.reopen(self.hub, pull, self)

    async def marks_ready(self, pull: PullRequest) -> None:
        """Mark a draft as ready for review."""
        self.require_role(pull.repository, "read" if pull.user is self else "write")
        pulls.set_draft(self.hub, pull, self, draft=False)

    async def reviews(
        self, pull: PullRequest, event: str, body: str = "", comments: Sequence[dict[str, Any]] = ()
    ) -> Review:
        """Review: APPROVE, REQUEST_CHANGES or COMMENT, with `comments` on lines (`path`, `line`, `body`)."""
        self.require_role(pull.repository, "read")
        return reviews.create_review(self.hub, pull, self, event=event, body=body, comments=comments)

    async def dismisses(self, review: Review, message: str) -> None:
        """Dismiss a review."""
        self.require_role(review.pull.repository, "write")
        reviews.dismiss(self.hub, review, self, message)

    async def requests_review(self, pull: PullRequest, *people: User) -> None:
        """Request reviews."""
        self.require_role(pull.repository, "write")
        reviews.request_reviewers(self.hub, pull, self, people)

    async def merges(self, pull: PullRequest, *, method: str = "merge") -> str:
        """Press the merge button and return the new SHA of the base branch."""
        self.require_role(pull.repository, "write")
        return await merges.merge_pull(self.hub, pull, self, method=method)

    async def approves_runs(self, pull: PullRequest) -> None:
        """Press "Approve and run workflows" on a pull request: the runs of its head that wait for approval start."""
        self.require_role(pull.repository, "write")
        for run in list(pull.repository.runs.values()):
            if (run.head_sha, run.conclusion) == (pull.head_sha, "action_required"):
                await self.hub.actions.rerun(run, self)

    async def cancels(self, run: WorkflowRun) -> None:
        """Cancel a workflow run. Raises ApiError 409 when it has completed."""
        self.require_role(run.repository, "write")
        if not self.hub.actions.cancel(run):
            raise ApiError(409, "Cannot cancel a workflow run that is completed.")
