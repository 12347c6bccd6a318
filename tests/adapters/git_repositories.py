"""Real repositories for the tests of `adapters.git`, made with plain git commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from adapters.git.merge import MergeError, MergeResult, merge_trees
from adapters.git.mirror import Mirror
from adapters.git.process import Git

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2026-01-31T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-31T12:00:00Z",
    # Housekeeping and waiting for the disk are of no use to a repository that is soon thrown away.
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "maintenance.auto",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.fsync",
    "GIT_CONFIG_VALUE_1": "none",
}

Files = dict[bytes, bytes | None]


class WorkTree:
    """A work tree in which a story is told; paths and contents are bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "--template=", "-b", "main")

    def git(
        self, *arguments: str | bytes, check: bool = True, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        result = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=_ENVIRONMENT, input=stdin, capture_output=True, check=False
        )
        if check and result.returncode:
            raise AssertionError(f"git {arguments!r}: {result.stderr!r}")
        return result

    def commit(self, files: Files, message: str = "change") -> str:
        """Write (or with None remove) files and commit; gives the SHA."""
        for path, content in files.items():
            file_path = os.path.join(os.fsencode(self.folder), path)
            if content is None:
                os.unlink(file_path)
            else:
                os.makedirs(os.path.dirname(file_path), exist_ok=True)
                Path(os.fsdecode(file_path)).write_bytes(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.sha("HEAD")

    def branch(self, name: str, start: str = "main") -> None:
        self.git("checkout", "-q", "-f", "-B", name, start)

    def sha(self, name: str) -> str:
        folder = self.folder / ".git"
        ref = (folder / "HEAD").read_text().strip().removeprefix("ref: ") if name == "HEAD" else f"refs/heads/{name}"
        if (folder / ref).is_file():  # a branch, as long as no test packs refs here
            return (folder / ref).read_text().strip()
        return self.git("rev-parse", name).stdout.decode().strip()

    def merge(self, ours: str, theirs: str) -> tuple[bool, set[bytes], str | None]:
        """Merge in the work tree: clean or not, the unmerged paths, the tree if clean."""
        self.git("checkout", "-q", "-f", "--detach", ours)
        result = self.git("merge", "--no-commit", "--no-ff", theirs, check=False)
        unmerged = self.git("ls-files", "-u", "-z").stdout.split(b"\0") if result.returncode else []
        paths = {entry.partition(b"\t")[2] for entry in unmerged if entry}
        # Git writes no tree of an index with unmerged files: where a merge that went well has some, this fails.
        tree = None if paths else self.git("write-tree").stdout.decode().strip()
        self.git("checkout", "-q", "-f", "main")
        self.git("clean", "-qfdx")
        return result.returncode == 0, paths, tree


TEXT = b"".join(b"line %d\n" % number for number in range(1, 21))


def with_line(number: int, text: bytes, source: bytes = TEXT) -> bytes:
    lines = source.splitlines(keepends=True)
    lines[number - 1] = text + b"\n"
    return b"".join(lines)


async def mirror_of(work: WorkTree, tmp_path: Path, *branches: str) -> Mirror:
    mirror = Mirror(tmp_path / "data", 1, f"file://{work.folder}", Git(allow_file_protocol=True))
    await mirror.fetch([f"refs/heads/{branch}" for branch in branches])
    return mirror


async def merge_tree(mirror: Mirror, ours: str, theirs: str) -> MergeResult:
    """The merge of two commits, with the conflicting lines. Raises `MergeError`."""
    [result] = await merge_trees(mirror, [(ours, theirs)], lines=True)
    if isinstance(result, MergeError):
        raise result
    return result
