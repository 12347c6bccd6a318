"""What all families share: the base of the models, people, labels and repositories."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class GitHubModel(BaseModel):
    """Base of all: immutable, unknown fields ignored, timestamps aware (`Z`, possibly with fractions)."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class User(GitHubModel):
    """A person, bot or organisation; `id` is what identifies it, logins change and collide."""

    id: int
    login: str
    type: str = "User"


class Label(GitHubModel):
    """A label; `color` is six hex digits without `#`."""

    id: int = 0
    name: str
    color: str = ""
    description: str | None = None


class RepositoryRef(GitHubModel):
    """A repository as other objects name it."""

    id: int
    name: str
    full_name: str = ""


class Repository(GitHubModel):
    """A repository; `id` survives renaming, `full_name` does not."""

    id: int
    name: str
    full_name: str
    owner: User
    private: bool = False
    fork: bool = False
    archived: bool = False
    disabled: bool = False
    default_branch: str = "main"
    clone_url: str = ""
    html_url: str = ""
