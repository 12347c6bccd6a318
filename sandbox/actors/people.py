"""What people do with issues. Every verb acts with that person's permissions: what GitHub would refuse, it
raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.actors.people_git import CodeActions
from sandbox.http.errors import ApiError, not_found
from sandbox.services import checks, comments, issues, labels
from sandbox.state.models import CheckRun, Comment, Issue, Reaction, Repository, Role, User, role_at_least


class IssueActions(User):
    """Verbs on issues, comments, labels and checks. Each raises ApiError where GitHub would refuse."""

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
        """Change the title or body of one's own issue, or of any with triage."""
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
        """Put labels on an issue; unknown ones are made."""
        self.require_role(issue.repository, "triage")
        labels.label_issue(self.hub, issue, labels.get_or_create_labels(self.hub, issue.repository, self, names), self)

    async def unlabels(self, issue: Issue, *names: str) -> None:
        """Take labels off an issue. Raises ApiError 404 for one it does not have."""
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
        """Take assigned people off."""
        self.require_role(issue.repository, "triage")
        issues.unassign(self.hub, issue, people, self)

    async def blocks(self, issue: Issue, *, blocker: Issue) -> None:
        """Say that an issue waits for another."""
        self.require_role(issue.repository, "triage")
        issues.block(self.hub, issue, blocker, self)

    async def unblocks(self, issue: Issue, *, blocker: Issue) -> None:
        """Take that back."""
        self.require_role(issue.repository, "triage")
        issues.unblock(self.hub, issue, blocker, self)

    async def adds_sub_issue(self, parent: Issue, child: Issue) -> None:
        """Make an issue a part of another."""
        self.require_role(parent.repository, "triage")
        issues.add_sub_issue(self.hub, parent, child, self)

    async def comments(self, issue: Issue, body: str) -> Comment:
        """Comment on an issue or pull request."""
        self.require_role(issue.repository, "read")
        return comments.create(self.hub, issue, self, body)

    async def edits_comment(self, comment: Comment, body: str) -> None:
        """Change a comment: one's own, or any with write."""
        self.require_role(comment.issue.repository, "read" if comment.user is self else "write")
        comments.edit(self.hub, comment, self, body)

    async def deletes_comment(self, comment: Comment) -> None:
        """Delete a comment: one's own, or any with write."""
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

    async def reruns_check(self, check_run: CheckRun) -> None:
        """Press "Re-run" on a check run."""
        self.require_role(check_run.repository, "write")
        checks.rerequest_run(self.hub, check_run, self)


class Person(IssueActions, CodeActions):
    """A person with an account: what a test lets them do, GitHub's permissions allowing."""
