"""The values of git: identities, commits, merges, moved refs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

ZERO = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
COMMIT_FIELDS = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B"

_CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
_SIGNATURE = re.compile(rb"(.*?) ?<([^>]*)> (-?\d+) [+-]\d{4}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GitIdentity:
    """The author or committer of a commit."""

    name: str
    email: str

    def signature(self, when: datetime) -> str:
        """The line git stores: name, e-mail, seconds since 1970, UTC."""
        clean = self.name.replace("<", "").replace(">", "").replace("\n", " ")
        return f"{clean} <{self.email}> {int(when.timestamp())} +0000"

    def clean_signature(self, when: datetime) -> str:
        """The same line as `git commit-tree` writes it, without the characters that names and addresses cannot have."""
        name = _without_crud(self.name or "unknown")
        return f"{name} <{_without_crud(self.email)}> {int(when.timestamp())} +0000"


@dataclass(frozen=True, slots=True)
class GitCommit:
    """One commit."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: GitIdentity
    authored_at: datetime
    committer: GitIdentity
    committed_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class TreeMerge:
    """The result of a merge in memory: its tree when clean, else the paths in conflict."""

    tree: str | None
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefChange:
    """A ref that moved: `before` or `after` is forty zeros when the ref was created or deleted."""

    ref: str
    before: str
    after: str


def parse_commit(record: str) -> GitCommit:
    """Read one record of `git log --format=COMMIT_FIELDS`."""
    sha, tree, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at, body = (
        record.split("\x1f", 9)
    )
    return GitCommit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=GitIdentity(author_name, author_email),
        authored_at=datetime.fromisoformat(authored_at).astimezone(UTC),
        committer=GitIdentity(committer_name, committer_email),
        committed_at=datetime.fromisoformat(committed_at).astimezone(UTC),
        message=body.rstrip("\n"),
    )


def parse_commit_object(sha: str, content: bytes) -> GitCommit:
    """Read a commit object."""
    header, _, message = content.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in header.split(b"\n"):
        name, _, value = line.partition(b" ")
        fields.setdefault(name, []).append(value)
    encoding = fields.get(b"encoding", [b"utf-8"])[0].decode("ascii", "replace")
    author, authored_at = _parse_signature(fields[b"author"][0], encoding)
    committer, committed_at = _parse_signature(fields[b"committer"][0], encoding)
    return GitCommit(
        sha=sha,
        tree=fields[b"tree"][0].decode(),
        parents=tuple(parent.decode() for parent in fields.get(b"parent", [])),
        author=author,
        authored_at=authored_at,
        committer=committer,
        committed_at=committed_at,
        message=_text(message, encoding).rstrip("\n"),
    )


def commit_content(tree: str, parents: Sequence[str], author: str, committer: str, message: str) -> bytes:
    """The content of a commit object; `author` and `committer` are lines as `Identity` gives them."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in dict.fromkeys(parents))]
    return "\n".join([*lines, f"author {author}", f"committer {committer}", "", message]).encode()


def _parse_signature(line: bytes, encoding: str) -> tuple[GitIdentity, datetime]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        return GitIdentity(_text(line, encoding), ""), datetime.fromtimestamp(0, UTC)
    name, email, seconds = match.groups()
    return GitIdentity(_text(name, encoding), _text(email, encoding)), datetime.fromtimestamp(int(seconds), UTC)


def _text(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding, "replace")
    except LookupError:
        return raw.decode(errors="replace")


def _without_crud(text: str) -> str:
    clean = text.strip(_CRUD)
    return clean.translate({ord(letter): None for letter in "\n<>"})
