"""What git tells and is told: identities, commits, merges, moved refs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

ZERO = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
COMMIT_FIELDS = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a commit says wrote it."""

    name: str
    email: str

    def at(self, when: datetime) -> str:
        """The line git stores: name, e-mail, seconds since 1970, UTC."""
        clean = self.name.replace("<", "").replace(">", "").replace("\n", " ")
        return f"{clean} <{self.email}> {int(when.timestamp())} +0000"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as git tells it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Identity
    authored_at: datetime
    committer: Identity
    committed_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome of a merge in memory: its tree when clean, the paths that clash when not."""

    tree: str | None
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefChange:
    """A ref that moved: `before` or `after` is forty zeros when the ref was made or deleted."""

    ref: str
    before: str
    after: str


def parse_commit(record: str) -> Commit:
    """Read one record of `git log --format=COMMIT_FIELDS`."""
    sha, tree, parents, an, ae, at, cn, ce, ct, body = record.split("\x1f", 9)
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=Identity(an, ae),
        authored_at=datetime.fromisoformat(at).astimezone(UTC),
        committer=Identity(cn, ce),
        committed_at=datetime.fromisoformat(ct).astimezone(UTC),
        message=body.rstrip("\n"),
    )


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def commit_stream(
    ref: str,
    files: Mapping[str, str | bytes | None],
    message: str,
    *,
    author: Identity,
    committer: Identity,
    when: datetime,
    parent: str | None,
) -> bytes:
    """The `git fast-import` text of one commit: files to write, or None for files to delete.

    Modes are not kept: everything is written as 100644, or as 100755 when it begins with `#!`.
    """
    text = message.encode()
    parts = [
        f"commit {ref}\nmark :1\nauthor {author.at(when)}\ncommitter {committer.at(when)}\n".encode(),
        b"data %d\n" % len(text) + text + b"\n",
    ]
    if parent is not None:
        parts.append(f"from {parent}\n".encode())
    for path, content in files.items():
        if content is None:
            parts.append(f"D {_quoted(path)}\n".encode())
            continue
        data = content if isinstance(content, bytes) else content.encode()
        mode = "100755" if data.startswith(b"#!") else "100644"
        parts.append(f"M {mode} inline {_quoted(path)}\ndata {len(data)}\n".encode() + data + b"\n")
    parts.append(b"get-mark :1\ndone\n")
    return b"".join(parts)
