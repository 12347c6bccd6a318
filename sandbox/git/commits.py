"""Commits of a bare repository and their history, read without a git process."""

import itertools
from dataclasses import dataclass, field

from sandbox.git.command import GitCommandError
from sandbox.git.history import ancestors, merge_bases, newest_first
from sandbox.git.objects import GitCommit, parse_commit_object
from sandbox.git.store import ObjectStore


@dataclass(slots=True)
class CommitStore:
    """The commits in a store of objects; all names are full ids. Commits never change, so they are cached."""

    store: ObjectStore
    _cached: dict[str, GitCommit] = field(default_factory=dict, repr=False)

    def read(self, sha: str) -> GitCommit:
        """One commit. Raises GitError when there is none."""
        if sha not in self._cached:
            content = self.store.content(sha, "commit")
            if content is None:
                raise GitCommandError(["show", sha], 128, f"{sha} is no commit")
            self._cached[sha] = parse_commit_object(sha, content)
        return self._cached[sha]

    def parents(self, sha: str) -> tuple[str, ...]:
        """The parents of a commit. Raises GitError."""
        return self.read(sha).parents

    def peel(self, sha: str) -> str | None:
        """The object that an annotated tag points to; any other object itself. None when it does not exist."""
        while (result := self.store.read(sha)) is not None and result[0] == "tag":
            sha = result[1].split(b"\n", 1)[0].removeprefix(b"object ").decode()
        return sha if result is not None else None

    def peel_to(self, sha: str, kind: str) -> str | None:
        """The commit or tree that an object is or leads to."""
        target = self.peel(sha)
        result = None if target is None else self.store.read(target)
        if target is None or result is None or result[0] == kind:
            return target
        return self.read(target).tree if (result[0], kind) == ("commit", "tree") else None

    def list_commits(self, include: str, exclude: str | None, limit: int | None = None) -> list[GitCommit]:
        """The commits that one has and the other does not, as `git log` orders them."""
        excluded = ancestors(exclude, self.parents) if exclude is not None else frozenset[str]()
        order = newest_first(include, excluded, self.parents, lambda sha: self.read(sha).committed_at.timestamp())
        return [self.read(sha) for sha in itertools.islice(order, limit)]

    def trivial_merge(self, ours: str, theirs: str) -> str | None:
        """The tree of a merge in which at most one side changed anything; None for any other merge."""
        bases = merge_bases(ours, theirs, self.parents)
        if len(bases) != 1:
            return None
        base, our_tree, their_tree = (self.read(sha).tree for sha in (bases[0], ours, theirs))
        if base == our_tree:
            return their_tree
        return our_tree if base == their_tree else None
