"""A bare mirror of a repository on local disk: a cache of its commits, to try merges on.

A mirror can always be made again, so it is never repaired: one that git cannot work with is removed and
fetched anew, once. Fetched refs are kept under names made by hashing (`refs/mirror/…`): branch names that
differ only by case, or where one is a folder of the other (`task` and `task/1`, one deleted just before the
other came), cannot get into each other's way, and no name from outside becomes a path on our disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from yarl import URL

from adapters.git.runner import Git, GitError, GitTimeoutError

_LOCK_POLL: Final = 0.05
"""Seconds between two looks at a lock that another process holds."""

_REF: Final = re.compile(r"refs/(?:heads|tags|pull)/[^\x00-\x20\x7f~^:?*\[\\]+")
_MISSING_REF: Final = "couldn't find remote ref"


class Mirror:
    """The mirror of one repository. `url` is its HTTP(S) clone address, without credentials.

    Any number of mirrors of the same repository may be used at once, in this process and in others: fetches
    wait for each other. `lock_timeout` is how many seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        repository_id: int,
        url: str,
        git: Git | None = None,
        *,
        lock_timeout: float = 300.0,
    ) -> None:
        if URL(url).user or URL(url).password:
            raise ValueError("the address of a repository must not hold credentials")
        self.git = git if git is not None else Git()
        self.path = data_dir.absolute() / "mirrors" / f"{int(repository_id)}.git"
        self.repository_id = repository_id
        self._url = url
        self._lock = asyncio.Lock()
        self._lock_timeout = lock_timeout
        self._suspect = self.path.with_suffix(".suspect")

    async def fetch(self, refs: Iterable[str], token: str | None = None) -> dict[str, str | None]:
        """Fetch these refs (`refs/heads/main`, `refs/pull/7/head`) and nothing else.

        Gives each ref's commit, None for a ref that the repository does not have (any more). Raises
        ValueError for something that is no full ref name, GitError when the server cannot be reached or
        refuses the token, TimeoutError when another process keeps the mirror locked. The token is handed over
        in the environment of git alone.
        """
        wanted = list(dict.fromkeys(refs))
        for ref in wanted:
            _check_ref(ref)
        async with self._locked():
            if self._suspect.exists():
                self._remove()
            if self.path.exists():
                try:
                    return await self._fetch(wanted, token)
                except GitTimeoutError:
                    raise
                except GitError:
                    # The server or the mirror? If the server answers, the mirror is to blame.
                    await self._remote_refs([], token)
                    self._remove()
            await self._create()
            return await self._fetch(wanted, token)

    async def commit(self, ref: str) -> str | None:
        """Give the commit that a ref had when it was last fetched, None when it is not here."""
        _check_ref(ref)
        found = await self.git.run(
            "rev-parse",
            "--verify",
            "--quiet",
            f"{local_ref(ref)}^{{commit}}",
            git_dir=self.path,
            ok=(0, 1, 128),
        )
        return found.stdout.decode().strip() or None if found.exit == 0 else None

    def distrust(self) -> None:
        """Note that objects are missing or broken: the next fetch makes the mirror anew."""
        if self.path.exists():
            self._suspect.touch()

    async def _fetch(self, refs: list[str], token: str | None) -> dict[str, str | None]:
        there = refs
        try:
            await self._fetch_all(there, token)
        except GitError as error:
            if _MISSING_REF not in error.stderr:
                raise
            # One missing ref makes git fetch none at all: ask which exist, and try those once more.
            known = await self._remote_refs(refs, token)
            there = [ref for ref in refs if ref in known]
            await self._fetch_all(there, token)
        gone = [ref for ref in refs if ref not in there]
        await self._forget(gone)
        commits: dict[str, str | None] = dict.fromkeys(gone)
        for ref in there:
            commits[ref] = await self.commit(ref)
            if commits[ref] is None:
                raise GitError("fetch", 0, f"{ref} was fetched but is no commit")
        return {ref: commits[ref] for ref in refs}

    async def _fetch_all(self, refs: list[str], token: str | None) -> None:
        if not refs:
            return
        # On stdin, for there may be more refs than a command line holds.
        specs = "".join(f"+{ref}:{local_ref(ref)}\n" for ref in refs).encode()
        await self.git.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--stdin",
            self._url,
            git_dir=self.path,
            stdin=specs,
            config=self._credentials(token),
            secrets=_secrets(token),
        )

    async def _remote_refs(self, refs: list[str], token: str | None) -> set[str]:
        """Which of these refs the server has; with none given merely whether it answers at all."""
        listed = await self.git.run(
            "ls-remote",
            "--quiet",
            self._url,
            *(refs or ["HEAD"]),
            config=self._credentials(token),
            secrets=_secrets(token),
        )
        names = (line.partition(b"\t")[2] for line in listed.stdout.splitlines())
        return {name.decode("utf-8", "replace") for name in names} & set(refs)

    async def _forget(self, refs: list[str]) -> None:
        if refs:
            orders = "".join(f"delete {local_ref(ref)}\n" for ref in refs).encode()
            await self.git.run("update-ref", "--stdin", git_dir=self.path, stdin=orders)

    async def _create(self) -> None:
        # Made beside its place and moved there: a mirror that exists is whole.
        new = self.path.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        await self.git.run("init", "--quiet", "--bare", "--template=", str(new))
        new.rename(self.path)

    def _remove(self) -> None:
        # Moved away first: removing takes time, and nobody must meet half a mirror.
        old = self.path.with_suffix(".old")
        shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(old)
        shutil.rmtree(old, ignore_errors=True)
        self._suspect.unlink(missing_ok=True)

    def _credentials(self, token: str | None) -> dict[str, str]:
        if token is None:
            return {}
        # Bound to this server: another one that a redirect leads to is not shown the token.
        return {f"http.{URL(self._url).origin()}/.extraHeader": f"Authorization: Basic {_basic(token)}"}

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the mirror alone: against tasks of this process and against other processes."""
        async with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                async with asyncio.timeout(self._lock_timeout):
                    while not _try_lock(descriptor):  # noqa: ASYNC110 - other processes set no event
                        await asyncio.sleep(_LOCK_POLL)
                yield
            finally:
                os.close(descriptor)


def local_ref(ref: str) -> str:
    """The name under which a mirror keeps a ref of the repository."""
    return f"refs/mirror/{hashlib.sha256(ref.encode()).hexdigest()}"


def _check_ref(ref: str) -> None:
    parts = ref.split("/")
    odd = any(part == "" or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    if not _REF.fullmatch(ref) or odd or ".." in ref or "@{" in ref:
        raise ValueError(f"{ref[:200]!r} is not a full ref name such as refs/heads/main")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _secrets(token: str | None) -> tuple[str, ...]:
    return () if token is None else (token, _basic(token))
