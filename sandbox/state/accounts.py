"""Who and what there is: people, organisations and repositories, each made once and found again by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sandbox.actors.people import Person
from sandbox.git.objects import Identity
from sandbox.git.repository import GitRepository
from sandbox.services import labels
from sandbox.state.models import Account, Organisation, Repository, Role, User, check_full_name

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.clock import Clock
    from sandbox.sandbox import Sandbox

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


class Accounts:
    """The part of the sandbox that knows people, organisations and repositories, and gives out ids."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        self.users: dict[str, User] = {}
        self.organisations: dict[str, Organisation] = {}
        self.repositories: dict[int, Repository] = {}
        self.former_names: dict[str, int] = {}
        self._last_id = 10_000_000

    @property
    def _hub(self) -> Sandbox:
        # There is no registry but the sandbox: it is split over files, not over objects.
        return cast("Sandbox", self)

    def now(self) -> datetime:
        """The time by the sandbox's clock."""
        return self.clock.now()

    def new_id(self) -> int:
        """A number that nothing else in this sandbox has: far from issue numbers, so that a mix-up shows."""
        self._last_id += 1
        return self._last_id

    def organisation(self, login: str) -> Organisation:
        """The organisation of that login; made when there is none."""
        organisation = self.organisations.get(login.lower())
        if organisation is None:
            organisation = Organisation(id=self.new_id(), login=login, created_at=self.now())
            self.organisations[login.lower()] = organisation
        return organisation

    def user(self, login: str, *, name: str | None = None, email: str | None = None) -> Person:
        """The person of that login; made when there is none. Raises ValueError when it is a bot's."""
        user = self.users.get(login.lower())
        if user is None:
            user = Person(hub=self._hub, id=self.new_id(), login=login, name=name, email=email, created_at=self.now())
            self.users[login.lower()] = user
        if not isinstance(user, Person):
            raise ValueError(f"{login} is a bot, not a person")
        return user

    def bot(self, login: str, *, number: int | None = None) -> User:
        """A bot user of that login (`name[bot]`); made when there is none."""
        user = self.users.get(login.lower())
        if user is None:
            user = User(hub=self._hub, id=number or self.new_id(), login=login, type="Bot", created_at=self.now())
            self.users[login.lower()] = user
        return user

    def account(self, login: str) -> Account | None:
        """The person, bot or organisation of that login."""
        return self.organisations.get(login.lower()) or self.users.get(login.lower())

    def repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        private: bool = False,
        default_branch: str = "main",
        description: str | None = None,
    ) -> Repository:
        """The repository `owner/name`; made, with GitHub's default labels and one commit of `files`, when
        there is none.

        The owner is the organisation or person of that login; an unknown owner becomes an organisation.
        """
        existing = self.find_repository(full_name)
        if existing is not None:
            return existing
        login, name = check_full_name(full_name)
        owner = self.account(login) or self.organisation(login)
        now = self.now()
        person = owner if isinstance(owner, User) else None
        author = Identity(
            person.login if person else owner.login,
            person.commit_email if person else f"{owner.login}@users.noreply.github.com",
        )
        repository = Repository(
            hub=self._hub,
            id=self.new_id(),
            owner=owner,
            name=name,
            git=GitRepository.create(
                self.root / owner.login / f"{name}.git",
                {"README.md": f"# {name}\n"} if files is None else files,
                author=author,
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
        self.repositories[repository.id] = repository
        for label, color, text in DEFAULT_LABELS:
            labels.add_label(self._hub, repository, label, color, text, default=True)
        return repository

    def find_repository(self, full_name: str) -> Repository | None:
        """The repository of that name, whatever its case, or None."""
        lowered = full_name.lower()
        return next(
            (repository for repository in self.repositories.values() if repository.full_name.lower() == lowered), None
        )

    def rename(self, repository: Repository, name: str) -> None:
        """Give a repository a new name; requests by the old one are answered 301 from now on."""
        self.former_names[repository.full_name.lower()] = repository.id
        repository.name = check_full_name(f"{repository.owner.login}/{name}")[1]

    def grant(self, repository: Repository, person: User, role: Role) -> None:
        """Give a person a role: read, triage, write, maintain, admin; `none` takes it away."""
        if role == "none":
            repository.grants.pop(person.id, None)
        else:
            repository.grants[person.id] = role
