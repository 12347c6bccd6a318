"""Create, find and rename repositories."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.git.objects import GitIdentity
from sandbox.git.repository import GitRepository
from sandbox.hub import Hub
from sandbox.services import labels
from sandbox.state.models import Account, Repository, User

DEFAULT_LABELS = (
    ("bug", "d73a4a", "Something isn't working"),
    ("documentation", "0075ca", "Improvements or additions to documentation"),
    ("duplicate", "cfd3d7", "This issue or pull request already exists"),
    ("enhancement", "a2eeef", "New feature or request"),
    ("good first issue", "7057ff", "Good for newcomers"),
    ("help wanted", "008672", "Extra attention is needed"),
    ("invalid", "e4e669", "This doesn't seem right"),
    ("question", "d876e3", "Further information is requested"),
    ("wontfix", "ffffff", "This will not be worked on"),
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_full_name(full_name: str) -> tuple[str, str]:
    """Split `owner/name`. Raises ValueError, with what is wrong, for anything else."""
    owner, _, name = full_name.partition("/")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)) or name in {".", ".."}:
        raise ValueError(f"a repository is called owner/name (letters, digits, . _ -), not {full_name!r}")
    return owner, name


def create_repository(
    hub: Hub,
    owner: Account,
    name: str,
    *,
    files: Mapping[str, str | bytes] | None,
    private: bool,
    default_branch: str,
    description: str | None,
) -> Repository:
    """Create a repository with GitHub's default labels and one commit of `files` (a README when None)."""
    now = hub.now()
    email = owner.commit_email if isinstance(owner, User) else f"{owner.login}@users.noreply.github.com"
    repository = Repository(
        id=hub.new_id(),
        owner=owner,
        name=name,
        git=GitRepository.create(
            hub.root / owner.login / f"{name}.git",
            {"README.md": f"# {name}\n"} if files is None else files,
            author=GitIdentity(owner.login, email),
            when=now,
            default_branch=default_branch,
        ),
        private=private,
        default_branch=default_branch,
        description=description,
        created_at=now,
        updated_at=now,
        pushed_at=now,
    )
    hub.repositories[repository.id] = repository
    for label, color, text in DEFAULT_LABELS:
        labels.add_label(hub, repository, label, color, text, default=True)
    return repository


def rename(hub: Hub, repository: Repository, name: str) -> None:
    """Rename a repository; requests with the old name are answered 301 from now on."""
    hub.former_names[repository.full_name.lower()] = repository.id
    repository.name = check_full_name(f"{repository.owner.login}/{name}")[1]
