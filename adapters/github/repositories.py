"""Calls repositories: branches, commits, files, and permissions."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from adapters.github.base_client import BaseClient, parse, query_params, repository_parts
from adapters.github.errors import Invalid, NotFound, TooLarge, UnexpectedResponse
from adapters.github.models import Commit, Comparison, FileContent, Permission, Repository
from adapters.github.operation import operation

_REPO: Final = "/repos/{owner}/{repo}"

GET: Final = operation("repos/get", "GET", _REPO, permission=("metadata", "read"))
COMPARE: Final = operation(
    "repos/compare-commits-with-basehead",
    "GET",
    _REPO + "/compare/{basehead}",
    permission=("contents", "read"),
    query="per_page",
)
GET_COMMIT: Final = operation("repos/get-commit", "GET", _REPO + "/commits/{ref}", permission=("contents", "read"))
GET_CONTENT: Final = operation(
    "repos/get-content",
    "GET",
    _REPO + "/contents/{path}",
    permission=("contents", "read"),
    query="ref",
    slashes="path",
)
GET_PERMISSION: Final = operation(
    "repos/get-collaborator-permission-level",
    "GET",
    _REPO + "/collaborators/{username}/permission",
    permission=("metadata", "read"),
)


class RepositoryOperations(BaseClient):
    """A repository and its git side. Branch names are plain (`task/12-1`), without `refs/heads/`."""

    async def get_repository(self, repo: str) -> Repository:
        """Return a repository, by its present name also when asked by a former one."""
        return await self._request_one(GET, Repository, repository_parts(repo))

    async def compare(self, repo: str, base: str, head: str) -> Comparison:
        """Compare two commits or branches; ValueError for names that would change the question."""
        if ".." in base or ".." in head:
            raise ValueError("no branch or commit has two dots in its name")
        # One page is enough: ahead, behind and the files stand on the first, commits are not read.
        values = {**repository_parts(repo), "basehead": f"{base}...{head}"}
        return await self._request_one(COMPARE, Comparison, values, query={"per_page": 1})

    async def get_commit(self, repo: str, ref: str) -> Commit:
        """Return a commit by SHA, branch or tag, with its (first 300) files."""
        return await self._request_one(GET_COMMIT, Commit, {**repository_parts(repo), "ref": ref})

    async def get_content(self, repo: str, path: str, *, ref: str | None = None) -> bytes | None:
        """Return a file's bytes at `ref` (default branch when None); None when there is no such file.

        Raises TooLarge above GitHub's 1 MB for this way of asking, Invalid for a directory, link or
        submodule.
        """
        values = {**repository_parts(repo), "path": path}
        try:
            response = await self._transport.request(GET_CONTENT, values, self._credential, query=query_params(ref=ref))
        except NotFound:
            return None
        if isinstance(response.data, list):
            raise Invalid(f"{path} is a directory, not a file", status=response.status)
        file = parse(GET_CONTENT, FileContent, response.data, response.status)
        if file.type != "file":
            raise Invalid(f"{path} is a {file.type}, not a file", status=response.status)
        if file.encoding != "base64":
            raise TooLarge(f"{path} has {file.size} bytes, more than GitHub gives at once", status=response.status)
        try:
            return base64.b64decode(file.content)
        except binascii.Error as error:
            raise UnexpectedResponse(f"{path} is not encoded as announced", status=response.status) from error

    async def list_folder(self, repo: str, path: str) -> list[FileContent]:
        """List what is in a folder of the default branch (at most 1,000 entries); empty when there is no such folder.

        Raises Invalid when it is a file.
        """
        values = {**repository_parts(repo), "path": path}
        try:
            response = await self._transport.request(GET_CONTENT, values, self._credential)
        except NotFound:
            return []
        if not isinstance(response.data, list):
            raise Invalid(f"{path} is a file, not a folder", status=response.status)
        return [parse(GET_CONTENT, FileContent, entry, response.status) for entry in response.data]

    async def get_permission(self, repo: str, login: str) -> Permission:
        """A user's permission; compare `user.id`, because logins are reused. An error means: none."""
        return await self._request_one(GET_PERMISSION, Permission, {**repository_parts(repo), "username": login})
