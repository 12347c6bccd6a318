"""A bare repository on disk. Objects, refs and history are read and written without a process; git itself does merges
of two changes and differences of files.

Methods that tests call to read a repository (`head`, `read`, `log`, `branches`) are synchronous; those that
the server calls are coroutines, so that a slow git never blocks the event loop.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sandbox.git.command import FULL_SHA, GitCommandError, cached_git_output, run_git
from sandbox.git.commits import CommitStore
from sandbox.git.diff import FileChange, parse_changes
from sandbox.git.folders import make_folders
from sandbox.git.history import ancestors, merge_bases
from sandbox.git.objects import (
    COMMIT_FIELDS,
    ZERO,
    GitCommit,
    GitIdentity,
    RefChange,
    TreeMerge,
    commit_content,
    parse_commit,
)
from sandbox.git.refs import RefStore
from sandbox.git.store import GITLINK_MODE, TREE_MODE, ObjectStore, TreeEditor

__all__ = ["GitCommit", "GitIdentity", "GitRepository", "RefChange", "TreeMerge"]

_FILE_MODE, _EXECUTABLE_MODE = "100644", "100755"
_MODES = (_FILE_MODE, _EXECUTABLE_MODE, "120000", GITLINK_MODE)


@dataclass(slots=True)
class GitRepository:
    """A bare git repository. Code that moves refs holds `lock`: a push and a merge cannot interleave."""

    path: Path
    default_branch: str = "main"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    store: ObjectStore = field(init=False, repr=False)
    ref_store: RefStore = field(init=False, repr=False)
    _commits: CommitStore = field(init=False, repr=False)
    _merges: dict[tuple[str, str], TreeMerge] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.store = ObjectStore(self.path)
        self._commits = CommitStore(self.store)
        self.ref_store = RefStore(self.path)

    # For tests: synchronous.

    @classmethod
    def create(
        cls,
        path: Path,
        files: Mapping[str, str | bytes],
        *,
        author: GitIdentity,
        when: datetime,
        default_branch: str = "main",
    ) -> "GitRepository":
        """Create a bare repository with one commit of `files` on the default branch (no commit when empty)."""
        make_folders(path)
        repository = cls(path, default_branch)
        if files:
            repository._commit_files(default_branch, files, "Initial commit", author, author, when, parent=None)
        # Last, because git takes a folder with this file for a repository.
        (path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        return repository

    def ref(self, name: str) -> str | None:
        """The object of a full ref name, or None when there is no such ref."""
        return self.ref_store.read(name)

    def head(self, branch: str | None = None) -> str:
        """The newest commit of a branch (the default one when none is named). Raises KeyError if absent."""
        sha = self.ref(f"refs/heads/{branch or self.default_branch}")
        if sha is None:
            raise KeyError(f"no branch {branch or self.default_branch!r} in {self.path.name}")
        return sha

    def has_branch(self, branch: str) -> bool:
        """Whether there is such a branch."""
        return self.ref(f"refs/heads/{branch}") is not None

    def branches(self) -> list[str]:
        """The names of all branches, sorted."""
        return [name.removeprefix("refs/heads/") for name in self.ref_store.list_refs("refs/heads/")]

    def read(self, rev: str, path: str) -> str:
        """The text of a file at a revision. Raises KeyError when there is no such file."""
        data = self._read_file(rev, path)
        if data is None:
            raise KeyError(f"no file {path!r} at {rev!r}")
        return data.decode()

    def log(self, rev: str | None = None) -> list[GitCommit]:
        """All commits reachable from a revision, newest first."""
        return self._commits.list_commits(self._resolve_commit(rev or self.default_branch), None)

    def show(self, sha: str) -> GitCommit:
        """One commit by its full SHA. Raises GitError."""
        return self._commits.read(sha)

    # For the server: coroutines.

    async def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        allowed_statuses: Sequence[int] = (0,),
    ) -> str:
        """Run a git command here and return its standard output without the last newline. Raises GitError."""
        _, output = await run_git(
            arguments, directory=self.path, stdin=stdin, environment=environment, allowed_statuses=allowed_statuses
        )
        return output.decode(errors="replace").removesuffix("\n")

    async def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag or (short) SHA names, or None."""
        if not revision or revision.startswith("-"):
            return None
        if (sha := self._resolve_ref(revision)) is not None:
            return sha
        if FULL_SHA.fullmatch(revision):
            return self._commits.peel_to(revision, "commit")
        status, output = await run_git(
            ["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
            directory=self.path,
            allowed_statuses=(0, 1, 128),
        )
        return output.decode().strip() if status == 0 else None

    def peel(self, sha: str) -> str | None:
        """The object that an annotated tag points to; any other object itself. None when it does not exist."""
        return self._commits.peel(sha)

    async def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Every ref under a folder (`refs/heads/`) with the object it names."""
        return self.ref_store.list_refs(prefix)

    async def blob(self, rev: str, path: str) -> bytes | None:
        """The bytes of a file at a revision, or None when there is no such file."""
        return self._read_file(rev, path)

    async def tree(
        self, rev: str, path: str = "", *, recursive: bool = False
    ) -> list[tuple[str, str, str, int | None, str]]:
        """The entries of a tree: (mode, type, sha, size in bytes or None, path)."""
        root_tree = self._commits.peel_to(self._resolve_ref(rev) or rev, "tree")
        entry = None if root_tree is None else self.store.find(root_tree, path.rstrip("/"))
        if entry is None or entry[0] != TREE_MODE:
            return []
        entries: list[tuple[str, str, str, int | None, str]] = []
        for name, (mode, sha) in self.store.walk(entry[1], recursive=recursive):
            text = name.decode(errors="replace")
            if mode in (TREE_MODE, GITLINK_MODE):
                entries.append((mode.zfill(6), "tree" if mode == TREE_MODE else "commit", sha, None, text))
            else:
                kind_and_size = self.store.kind_and_size(sha)
                entries.append((mode, "blob", sha, None if kind_and_size is None else kind_and_size[1], text))
        return entries

    async def commits(self, *revisions: str, limit: int | None = None, paths: Sequence[str] = ()) -> list[GitCommit]:
        """Commits of a range as `git log` orders them, newest first."""
        if len(revisions) == 1 and not revisions[0].startswith(("-", "^")) and not paths:
            exclude, dots, include = revisions[0].rpartition("..")
            return self._commits.list_commits(
                self._resolve_commit(include), self._resolve_commit(exclude) if dots else None, limit
            )
        # Git itself finds the commits of a path, a time or an author.
        flags = [] if limit is None else [f"--max-count={limit}"]
        output = await self.git("log", "-z", f"--format={COMMIT_FIELDS}", *flags, *revisions, "--", *paths)
        return [parse_commit(record) for record in output.split("\0") if record]

    async def commit(self, sha: str) -> GitCommit:
        """One commit by its full SHA. Raises GitError when there is none."""
        return self.show(sha)

    async def merge_base(self, first: str, second: str) -> str | None:
        """The best common ancestor of two commits, or None for unrelated histories."""
        bases = merge_bases(self._resolve_commit(first), self._resolve_commit(second), self._commits.parents)
        if len(bases) < 2:
            return bases[0] if bases else None
        return await self.git("merge-base", first, second)  # git itself chooses among several

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether a commit is contained in another's history."""
        try:
            return self._resolve_commit(ancestor) in ancestors(self._resolve_commit(descendant), self._commits.parents)
        except GitCommandError:
            return False

    async def commits_between(self, exclude: str, include: str) -> frozenset[str]:
        """The commits that `include` has and `exclude` does not."""
        excluded = ancestors(self._resolve_commit(exclude), self._commits.parents)
        return frozenset(ancestors(self._resolve_commit(include), self._commits.parents) - excluded)

    async def changes(self, old: str, new: str) -> list[FileChange]:
        """The files that differ between two trees or commits, with renames found, statistics and patches."""
        before, after = (self._commits.peel_to(self._resolve_ref(name) or name, "tree") or name for name in (old, new))
        if before == after:
            return []
        arguments = ["diff", "-M", "-z", "--raw", "--no-abbrev", "--numstat", "-p", "--no-color", "--no-ext-diff"]
        output = await cached_git_output([*arguments, before, after], [before, after], directory=self.path)
        return parse_changes(output.decode(errors="replace"))

    async def write_commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str,
        *,
        author: GitIdentity,
        when: datetime,
        committer: GitIdentity | None = None,
        start: str | None = None,
    ) -> RefChange:
        """Commit files (None deletes one) on a branch; a new one starts at `start` or the default branch.

        Modes are not preserved: every file is 100644, or 100755 when it starts with `#!`. Raises GitError.
        """
        parent = self.ref(f"refs/heads/{branch}") or start or self.ref(f"refs/heads/{self.default_branch}")
        return self._commit_files(branch, files, message, author, committer or author, when, parent=parent)

    async def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: GitIdentity,
        when: datetime,
        committer: GitIdentity | None = None,
        authored_at: datetime | None = None,
    ) -> str:
        """Write a commit object for a tree that exists; no ref moves. Returns its SHA. Raises GitError."""
        for sha, kind in ((tree, "tree"), *((parent, "commit") for parent in parents)):
            if self.store.content(sha, kind) is None:
                raise GitCommandError(["commit-tree", tree], 128, f"{sha} is no {kind}")
        if "\0" in message:
            raise GitCommandError(["commit-tree", tree], 128, "a NUL byte in a commit message is not allowed")
        signatures = author.clean_signature(authored_at or when), (committer or author).clean_signature(when)
        return self.store.write("commit", commit_content(tree, parents, *signatures, message))

    async def merge(self, ours: str, theirs: str) -> TreeMerge:
        """Merge two commits in memory; nothing is checked out and no ref moves."""
        if (ours, theirs) not in self._merges:
            tree = self._commits.trivial_merge(self._resolve_commit(ours), self._resolve_commit(theirs))
            self._merges[ours, theirs] = TreeMerge(tree, ()) if tree else await self._merge(ours, theirs)
        return self._merges[ours, theirs]

    async def update_ref(self, ref: str, new: str, old: str | None = None) -> RefChange:
        """Move a ref, only from `old` when given; forty zeros as `new` deletes it. Raises GitError."""
        if new != ZERO:
            kind_and_size = self.store.kind_and_size(new)
            if kind_and_size is None or (kind_and_size[0] != "commit" and ref.startswith("refs/heads/")):
                raise GitCommandError(["update-ref", ref, new], 128, f"{new} is no commit")
        return RefChange(ref, self.ref_store.update(ref, new, old), new)

    async def write_blob(self, data: bytes) -> str:
        """Store bytes as a blob and return its SHA."""
        return self.store.write("blob", data)

    async def object(self, sha: str, kind: str) -> bytes | None:
        """The content of an object of that kind (blob, tree, commit) by its full SHA, or None."""
        return self.store.content(sha, kind)

    async def write_tree(self, base: str | None, entries: Sequence[tuple[str, str | None, str]]) -> str:
        """Create a tree from `base` and (mode, sha, path) entries; no sha deletes the path. Raises GitError."""
        arguments = ["write-tree", base or ""]
        root_tree = None if base is None else self._commits.peel_to(base, "tree")
        if base is not None and root_tree is None:
            raise GitCommandError(arguments, 128, f"{base} is no tree")
        editor = TreeEditor(self.store, root_tree)
        for mode, sha, path in entries:
            _check_path(path)
            if sha is None:
                editor.remove(path)
            elif mode not in _MODES or (mode != GITLINK_MODE and self.store.kind_and_size(sha) is None):
                raise GitCommandError(arguments, 128, f"invalid object {mode} {sha} for {path!r}")
            else:
                editor.put(path, mode, sha)
        return editor.write()

    # Helpers

    def _resolve_ref(self, revision: str) -> str | None:
        """The object of a branch, a tag or a full ref name."""
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        return next((sha for name in names if (sha := self.ref(name)) is not None), None)

    def _resolve_commit(self, revision: str) -> str:
        sha = self._commits.peel_to(self._resolve_ref(revision) or revision, "commit")
        if sha is None:
            raise GitCommandError(["rev-parse", revision], 128, f"{revision!r} is no commit")
        return sha

    def _read_file(self, rev: str, path: str) -> bytes | None:
        root_tree = self._commits.peel_to(self._resolve_ref(rev) or rev, "tree")
        entry = None if root_tree is None else self.store.find(root_tree, path)
        return None if entry is None else self.store.content(entry[1], "blob")

    async def _merge(self, ours: str, theirs: str) -> TreeMerge:
        status, output = await run_git(
            ["merge-tree", "--write-tree", "--no-messages", "-z", "--name-only", ours, theirs],
            directory=self.path,
            allowed_statuses=(0, 1),
        )
        tree, *conflict_names = output.decode(errors="replace").split("\0")
        if status == 0:
            return TreeMerge(tree, ())
        return TreeMerge(None, tuple(dict.fromkeys(name for name in conflict_names if name)))

    def _commit_files(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str,
        author: GitIdentity,
        committer: GitIdentity,
        when: datetime,
        *,
        parent: str | None,
    ) -> RefChange:
        editor = TreeEditor(self.store, None if parent is None else self.show(parent).tree)
        for path, content in files.items():
            _check_path(path)
            if content is None:
                editor.remove(path)
                continue
            data = content if isinstance(content, bytes) else content.encode()
            mode = _EXECUTABLE_MODE if data.startswith(b"#!") else _FILE_MODE
            editor.put(path, mode, self.store.write("blob", data))
        parents = [] if parent is None else [parent]
        content = commit_content(editor.write(), parents, author.signature(when), committer.signature(when), message)
        sha = self.store.write("commit", content)
        return RefChange(f"refs/heads/{branch}", self.ref_store.update(f"refs/heads/{branch}", sha), sha)


def _check_path(path: str) -> None:
    if any(part in ("", ".", "..", ".git") for part in path.split("/")):
        raise GitCommandError(["update-index", path], 128, f"invalid path {path!r}")
