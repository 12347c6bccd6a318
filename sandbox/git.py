"""A bare repository on disk, driven by the git command: the sandbox keeps no second opinion about history.

Methods that tests call to look at a repository (`head`, `read`, `log`, `branches`) answer at once; those that
the server calls are coroutines, so that a slow git never stops the event loop.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sandbox.git_command import GitError, git_answer, git_process, run_git
from sandbox.git_diff import FileChange, parse_changes
from sandbox.git_objects import (
    COMMIT_FIELDS,
    ZERO,
    Commit,
    Identity,
    Merge,
    RefChange,
    commit_stream,
    parse_commit,
)

__all__ = ["Commit", "GitRepository", "Identity", "Merge", "RefChange"]


@dataclass(slots=True)
class GitRepository:
    """A bare git repository. Whoever moves refs holds `lock`: a push and a merge cannot interleave."""

    path: Path
    default_branch: str = "main"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _known: dict[str, Commit] = field(default_factory=dict, repr=False)
    _here: set[str] = field(default_factory=set, repr=False)  # full SHAs of commits; none ever goes

    # Setting the stage and looking on: these answer at once.

    @classmethod
    def create(
        cls,
        path: Path,
        files: Mapping[str, str | bytes],
        *,
        author: Identity,
        when: datetime,
        default_branch: str = "main",
        message: str = "Initial commit",
    ) -> "GitRepository":
        """Make a bare repository with one commit of `files` on the default branch (no commit when empty)."""
        path.mkdir(parents=True)
        run_git(["init", "--quiet", "--bare", f"--initial-branch={default_branch}", "."], directory=path)
        with (path / "config").open("a") as config:
            # No hooks, no background work that outlives a test; refs/pull belongs to the server alone.
            config.write(
                "[core]\n\thooksPath = /dev/null\n[gc]\n\tauto = 0\n[http]\n\treceivepack = true\n"
                "[receive]\n\tautogc = false\n\thideRefs = refs/pull\n"
                "[uploadpack]\n\tallowReachableSHA1InWant = true\n[maintenance]\n\tauto = false\n"
            )
        repository = cls(path, default_branch)
        if files:
            stream = commit_stream(
                f"refs/heads/{default_branch}",
                files,
                message,
                author=author,
                committer=author,
                when=when,
                parent=None,
            )
            run_git(["fast-import", "--quiet", "--done"], directory=path, stdin=stream)
        return repository

    def ref(self, name: str) -> str | None:
        """The object a full ref name stands for, or None when there is no such ref."""
        if ".." in name or not name.startswith("refs/"):
            return None
        loose = self.path / name
        if loose.is_file():
            return loose.read_text().strip()
        packed = self.path / "packed-refs"
        if packed.is_file():
            for line in packed.read_text().splitlines():
                if line.endswith(f" {name}") and not line.startswith("#"):
                    return line.split(" ", 1)[0]
        return None

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
        _, out = run_git(["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"], directory=self.path)
        return out.decode().split("\n")[:-1]

    def read(self, rev: str, path: str) -> str:
        """The text of a file at a revision. Raises KeyError when there is no such file."""
        try:
            _, out = run_git(["cat-file", "blob", f"{rev}:{path}"], directory=self.path)
        except GitError as error:
            raise KeyError(f"no file {path!r} at {rev!r}") from error
        return out.decode()

    def log(self, rev: str | None = None) -> list[Commit]:
        """All commits reachable from a revision, newest first."""
        _, out = run_git(
            ["log", "-z", f"--format={COMMIT_FIELDS}", rev or self.default_branch, "--"], directory=self.path
        )
        return [parse_commit(record) for record in out.decode(errors="replace").split("\0") if record]

    def show(self, sha: str) -> Commit:
        """One commit by its full SHA; what was read once is remembered, commits never change."""
        if sha not in self._known:
            _, out = run_git(["log", "--max-count=1", f"--format={COMMIT_FIELDS}", sha, "--"], directory=self.path)
            self._known[sha] = parse_commit(out.decode(errors="replace").removesuffix("\n"))
        return self._known[sha]

    # What the server uses.

    async def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        allowed: Sequence[int] = (0,),
    ) -> str:
        """Run a git command here; gives its standard output without the last newline. Raises GitError."""
        _, out = await git_process(
            arguments, directory=self.path, stdin=stdin, environment=environment, allowed=allowed
        )
        return out.decode(errors="replace").removesuffix("\n")

    async def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag or (short) SHA names, or None."""
        if not revision or revision.startswith("-"):
            return None
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            found = self.ref(name)
            if found is not None:
                return found
        if revision in self._here:
            return revision
        status, out = await git_process(
            ["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
            directory=self.path,
            allowed=(0, 1, 128),
        )
        if status != 0:
            return None
        self._here.add(sha := out.decode().strip())
        return sha

    async def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Every ref under a prefix with the object it names."""
        out = await self.git("for-each-ref", "--format=%(objectname) %(refname)", prefix)
        pairs = (line.split(" ", 1) for line in out.splitlines())
        return {name: sha for sha, name in pairs}

    async def blob(self, rev: str, path: str) -> bytes | None:
        """The bytes of a file at a revision, or None when there is no such file."""
        question = ["cat-file", "blob", f"{rev}:{path}"]
        status, out = await git_answer(question, [rev], directory=self.path, allowed=(0, 128))
        return out if status == 0 else None

    async def tree(
        self, rev: str, path: str = "", *, recursive: bool = False
    ) -> list[tuple[str, str, str, int | None, str]]:
        """The entries of a tree: (mode, type, sha, size in bytes or None, path)."""
        where = f"{rev}:{path}" if path else rev
        flags = ["-r", "-t"] if recursive else []
        question = ["ls-tree", "-z", "-l", *flags, where]
        status, out = await git_answer(question, [rev], directory=self.path, allowed=(0, 128))
        if status != 0:
            return []
        entries = []
        for line in out.decode(errors="replace").split("\0"):
            if line:
                meta, name = line.split("\t", 1)
                mode, kind, sha, size = meta.split()
                entries.append((mode, kind, sha, None if size == "-" else int(size), name))
        return entries

    async def commits(self, *revisions: str, limit: int | None = None, paths: Sequence[str] = ()) -> list[Commit]:
        """Commits of a range as `git log` orders them, newest first."""
        flags = [] if limit is None else [f"--max-count={limit}"]
        question = ["log", "-z", f"--format={COMMIT_FIELDS}", *flags, *revisions, "--", *paths]
        ends = [end for revision in revisions for end in revision.lstrip("^").split("..")]
        _, out = await git_answer(question, ends, directory=self.path)
        return [parse_commit(record) for record in out.decode(errors="replace").split("\0") if record]

    async def commit(self, sha: str) -> Commit:
        """One commit by its full SHA. Raises GitError when there is none."""
        if sha not in self._known:
            self._known[sha] = (await self.commits(sha, limit=1))[0]
        return self._known[sha]

    async def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits, or None for unrelated histories."""
        _, out = await git_answer(["merge-base", one, other], [one, other], directory=self.path, allowed=(0, 1))
        return out.decode().strip() or None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether a commit is contained in another's history."""
        question = ["merge-base", "--is-ancestor", ancestor, descendant]
        status, _ = await git_answer(question, [ancestor, descendant], directory=self.path, allowed=(0, 1, 128))
        return status == 0

    async def between(self, exclude: str, include: str) -> frozenset[str]:
        """The commits that `include` has and `exclude` has not."""
        question = ["rev-list", f"{exclude}..{include}"]
        _, listed = await git_answer(question, [exclude, include], directory=self.path)
        return frozenset(listed.decode().split())

    async def changes(self, old: str, new: str, *, patches: bool = True) -> list[FileChange]:
        """The files that differ between two trees or commits, with renames found, statistics and patches."""
        question = ["diff", "-M", "-z", "--raw", "--no-abbrev", "--numstat", old, new]
        _, listing = await git_answer(question, [old, new], directory=self.path)
        text = b""
        if patches and listing:
            question = ["diff", "-M", "--no-color", "--no-ext-diff", old, new]
            _, text = await git_answer(question, [old, new], directory=self.path)
        return parse_changes(listing.decode(errors="replace"), text.decode(errors="replace").removesuffix("\n"))

    async def write_commit(
        self,
        branch: str,
        files: Mapping[str, str | bytes | None],
        message: str,
        *,
        author: Identity,
        when: datetime,
        committer: Identity | None = None,
        start: str | None = None,
    ) -> RefChange:
        """Commit files (None deletes one) on a branch; a new one starts at `start` or the default branch."""
        before = self.ref(f"refs/heads/{branch}")
        parent = before or start or self.ref(f"refs/heads/{self.default_branch}")
        ref = f"refs/heads/{branch}"
        stream = commit_stream(
            ref, files, message, author=author, committer=committer or author, when=when, parent=parent
        )
        _, out = await git_process(["fast-import", "--quiet", "--done"], directory=self.path, stdin=stream)
        return RefChange(ref, before or ZERO, out.decode().strip())

    async def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: Identity,
        when: datetime,
        committer: Identity | None = None,
        authored_at: datetime | None = None,
    ) -> str:
        """Write a commit object for a tree that exists; no ref moves. Gives its SHA."""
        by = committer or author
        environment = {
            "GIT_AUTHOR_NAME": author.name or "nobody",
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_AUTHOR_DATE": f"{int((authored_at or when).timestamp())} +0000",
            "GIT_COMMITTER_NAME": by.name or "nobody",
            "GIT_COMMITTER_EMAIL": by.email,
            "GIT_COMMITTER_DATE": f"{int(when.timestamp())} +0000",
        }
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return await self.git("commit-tree", tree, *flags, stdin=message.encode(), environment=environment)

    async def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits in memory (`git merge-tree`); nothing is checked out and no ref moves."""
        status, out = await git_process(
            ["merge-tree", "--write-tree", "--no-messages", "-z", "--name-only", ours, theirs],
            directory=self.path,
            allowed=(0, 1),
        )
        tree, *rest = out.decode(errors="replace").split("\0")
        if status == 0:
            return Merge(tree, ())
        return Merge(None, tuple(dict.fromkeys(name for name in rest if name)))

    async def update_ref(self, ref: str, new: str, old: str | None = None) -> RefChange:
        """Move a ref, only from `old` when given; forty zeros as `new` deletes it. Raises GitError."""
        before = self.ref(ref) or ZERO
        if new == ZERO:
            await self.git("update-ref", "-d", ref, *([old] if old else []))
        else:
            await self.git("update-ref", ref, new, *([old] if old else []))
        return RefChange(ref, before, new)

    async def write_blob(self, data: bytes) -> str:
        """Store bytes as a blob; gives its SHA."""
        return await self.git("hash-object", "-w", "--stdin", stdin=data)

    async def object(self, sha: str, kind: str) -> bytes | None:
        """The content of an object of that kind (blob, tree, commit) by its full SHA, or None."""
        if len(sha) != 40 or not sha.isalnum():
            return None
        status, out = await git_process(["cat-file", kind, sha], directory=self.path, allowed=(0, 128))
        return out if status == 0 else None

    async def write_tree(self, base: str | None, entries: Sequence[tuple[str, str | None, str]]) -> str:
        """Make a tree from `base` and (mode, sha, path) entries; no sha deletes the path. Raises GitError."""
        with tempfile.TemporaryDirectory(prefix="index-") as folder:
            environment = {"GIT_INDEX_FILE": f"{folder}/index"}
            await self.git("read-tree", *([base] if base else ["--empty"]), environment=environment)
            lines = [f"{mode if sha else 0} {sha or ZERO}\t{path}\0" for mode, sha, path in entries]
            text = "".join(lines).encode()
            await self.git("update-index", "-z", "--index-info", stdin=text, environment=environment)
            return await self.git("write-tree", environment=environment)
