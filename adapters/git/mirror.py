"""Keeps a bare mirror of a repository on local disk, as a cache for trial merges.

A mirror can always be created again, so it is never repaired: one that git cannot work with is removed and fetched
again, once. Fetched refs are stored under hashed names (`refs/mirror/…`): branch names that differ only by case, or of
which one is a folder of the other (`task` and `task/1`, one deleted just before the other came), cannot collide, and no
name from outside becomes a path on disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path
from typing import Final

from yarl import URL

from adapters.git.disk_usage import DiskLimitError, DiskUsage
from adapters.git.locks import file_lock
from adapters.git.maintenance import needs_gc, remove_stale_files, repack_if_needed
from adapters.git.private_files import make_directory, write_text
from adapters.git.process import Git, GitError, GitTimeoutError

_TRANSFER_SECONDS: Final = 900.0
"""Seconds that a fetch, or tidying up, may take: the first fetch of a large repository needs minutes."""

_LOW_SPEED_LIMIT: Final = {"http.lowSpeedLimit": "1000", "http.lowSpeedTime": "60"}
"""A server that sends less than 1,000 bytes a second for a minute is given up on."""

_READERS_TIMEOUT_SECONDS: Final = 2.0
"""Seconds that tidying up waits for those who read."""

_REF: Final = re.compile(r"refs/(?:heads|tags|pull)/[^\x00-\x20\x7f~^:?*\[\\]+")
_REFS: Final = "refs/mirror"
_MISSING_REF: Final = "couldn't find remote ref"


class Mirror:
    """The mirror of one repository. `url` is its HTTP(S) clone address, without credentials.

    Any number of mirrors of the same repository may be used at once, in this process and in others: fetches
    wait for each other. `lock_timeout` is how many seconds. What is fetched stays until it is no longer wanted
    (`keep_only`), and the packs are kept few.
    """

    def __init__(
        self,
        data_dir: Path,
        repository_id: int,
        url: str,
        git: Git | None = None,
        *,
        lock_timeout: float = 300.0,
        disk: DiskUsage | None = None,
    ) -> None:
        if URL(url).user or URL(url).password:
            raise ValueError("the address of a repository must not hold credentials")
        self.git = git if git is not None else Git()
        self.path = data_dir.absolute() / "mirrors" / f"{int(repository_id)}.git"
        self.repository_id = repository_id
        self.in_memory = True  # whether merges may be tried in memory, where it fits (`scratch_objects`)
        self._url = url
        self._disk = disk if disk is not None else DiskUsage()
        self._lock = asyncio.Lock()
        self._lock_timeout = lock_timeout
        self._invalid_marker = self.path.with_suffix(".suspect")
        self._readers_lock = self.path.with_suffix(".readers")

    async def fetch(self, refs: Iterable[str], token: str | None = None) -> dict[str, str | None]:
        """Fetch these refs (`refs/heads/main`, `refs/pull/7/head`) and nothing else.

        Returns each ref's commit, None for a ref that the repository does not have (any more). Raises
        ValueError for something that is no full ref name, GitError when the server cannot be reached or
        refuses the token, DiskLimitError when the mirror would be too large, TimeoutError when another process keeps
        the mirror locked. The token is handed over in the environment of git alone.
        """
        unique_refs = list(dict.fromkeys(refs))
        for ref in unique_refs:
            _check_ref(ref)
        self._disk.check_refusal(self.path, unique_refs)
        async with self._write_lock():
            await self._disk.free_space(self.path)
            try:
                return await self._fetch_or_create(unique_refs, token)
            except DiskLimitError as error:
                if len(unique_refs) == 1:
                    self._disk.refuse(self.path, unique_refs[0], error)
                raise

    async def _fetch_or_create(self, unique_refs: list[str], token: str | None) -> dict[str, str | None]:
        await asyncio.to_thread(remove_stale_files, self.path.parent, self.path)
        if self._invalid_marker.exists():
            await self._remove()
        if self.path.exists():
            try:
                commits = await self._fetch(unique_refs, token)
            except GitTimeoutError:
                raise
            except DiskLimitError:
                await self._shrink()
                raise
            except GitError:
                # The server or the mirror? If the server answers, the mirror is to blame.
                await self._remote_refs([], token)
                await self._remove()
            else:
                if needs_gc(self.path):
                    await self._repack()
                return commits
        await self._create()
        try:
            # The first alone: if the rest is interrupted, most of a large repository is there already.
            commits = await self._fetch(unique_refs[:1], token)
            if len(unique_refs) > 1:
                commits = await self._fetch(unique_refs, token)
        except DiskLimitError:
            await self._shrink()
            raise
        await self._repack()
        return commits

    async def get_commit(self, ref: str) -> str | None:
        """Return the commit that a ref had when it was last fetched, None when it is not here."""
        return (await self.resolve_refs([ref]))[ref]

    async def resolve_refs(self, refs: Iterable[str]) -> dict[str, str | None]:
        """Return the commits that refs had when they were last fetched, None for those that are not here.

        Raises ValueError for something that is no full ref name, GitError when the mirror is
        broken.
        """
        unique_refs = list(dict.fromkeys(refs))
        for ref in unique_refs:
            _check_ref(ref)
        if not unique_refs or not self.path.exists():
            return dict.fromkeys(unique_refs)
        infos = await self.git.objects.info(
            self.path, (f"{local_ref_name(ref)}^{{commit}}".encode() for ref in unique_refs)
        )
        return {
            ref: info.name if info is not None and info.kind == "commit" else None
            for ref, info in zip(unique_refs, infos, strict=True)
        }

    async def prune_refs(self, refs: Iterable[str]) -> None:
        """Drop every ref but these, and with time what only the others led to.

        Raises ValueError, GitError, TimeoutError like `fetch`.
        """
        ref_list = list(refs)
        for ref in ref_list:
            _check_ref(ref)
        async with self._write_lock():
            if not self.path.exists() or self._invalid_marker.exists():
                return
            local_refs = await asyncio.to_thread(_list_local_refs, self.path)
            await self._delete(local_refs - {local_ref_name(ref) for ref in ref_list})
            await self._repack()

    @contextlib.asynccontextmanager
    async def read_lock(self) -> AsyncIterator[None]:
        """Read while no process removes objects."""
        async with file_lock(self._readers_lock, shared=True, timeout_seconds=self._lock_timeout):
            yield

    def invalidate(self) -> None:
        """Record that objects are missing or broken: the next fetch creates the mirror again."""
        if self.path.exists():
            self._invalid_marker.touch(mode=0o600)

    async def _fetch(self, refs: list[str], token: str | None) -> dict[str, str | None]:
        existing = refs
        try:
            await self._fetch_all(existing, token)
        except GitError as error:
            if _MISSING_REF not in error.stderr:
                raise
            # One missing ref makes git fetch none at all: ask which exist, and try those once more.
            remote_refs = await self._remote_refs(refs, token)
            existing = [ref for ref in refs if ref in remote_refs]
            await self._fetch_all(existing, token)
        missing = [ref for ref in refs if ref not in existing]
        await self._delete({local_ref_name(ref) for ref in missing})
        commits = await self.resolve_refs(existing)
        for ref, commit in commits.items():
            if commit is None:
                raise GitError("fetch", 0, f"{ref} was fetched but is no commit")
        return {ref: commits.get(ref) for ref in refs}

    async def _fetch_all(self, refs: list[str], token: str | None) -> None:
        if not refs:
            return
        # On stdin, for there may be more refs than a command line holds.
        specs = "".join(f"+{ref}:{local_ref_name(ref)}\n" for ref in refs).encode()
        fetch = self.git.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--stdin",
            self._url,
            git_dir=self.path,
            stdin=specs,
            config={**_LOW_SPEED_LIMIT, **self._credentials(token)},
            secrets=_secrets(token),
            min_timeout_seconds=_TRANSFER_SECONDS,
        )
        await self._disk.run_bounded(self.path, fetch)
        os.utime(self.path)  # the last use

    async def _shrink(self) -> None:
        """Remove what a fetch that was too large has left; and all of it if that is not enough."""
        await asyncio.to_thread(remove_stale_files, self.path.parent, self.path)
        if await self._disk.is_too_large(self.path):
            await self._remove()

    async def _remote_refs(self, refs: list[str], token: str | None) -> set[str]:
        """Which of these refs the server has; with none given merely whether it answers at all."""
        result = await self.git.run(
            "ls-remote",
            "--quiet",
            self._url,
            *(refs or ["HEAD"]),
            config=self._credentials(token),
            secrets=_secrets(token),
        )
        names = (line.partition(b"\t")[2] for line in result.stdout.splitlines())
        return {name.decode("utf-8", "replace") for name in names} & set(refs)

    async def _delete(self, names: Collection[str]) -> None:
        if names:
            commands = "".join(f"delete {name}\n" for name in sorted(names)).encode()
            await self.git.run("update-ref", "--stdin", git_dir=self.path, stdin=commands)

    async def _repack(self) -> None:
        """Keep the packs few, unless a process is reading or it takes too long: then do it another time."""
        try:
            async with file_lock(self._readers_lock, timeout_seconds=_READERS_TIMEOUT_SECONDS):
                await repack_if_needed(self.git, self.path, timeout_seconds=_TRANSFER_SECONDS)
        except (TimeoutError, GitTimeoutError):
            return
        except GitError:
            self.invalidate()  # what was fetched is here, but what cannot be packed is not whole

    async def _create(self) -> None:
        # Made beside its place and moved there: a mirror that exists is whole.
        new_path = self.path.with_suffix(".new")
        shutil.rmtree(new_path, ignore_errors=True)
        await asyncio.to_thread(_create_empty, new_path)
        new_path.rename(self.path)

    async def _remove(self) -> None:
        async with file_lock(self._readers_lock, timeout_seconds=self._lock_timeout):
            # Moved away first: removing takes time, and no process must see half a mirror.
            old_path = self.path.with_suffix(".old")
            shutil.rmtree(old_path, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                self.path.rename(old_path)
            self._invalid_marker.unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, old_path, ignore_errors=True)

    def _credentials(self, token: str | None) -> dict[str, str]:
        if token is None:
            return {}
        # Bound to this server; and git follows no redirect to another one.
        return {f"http.{URL(self._url).origin()}/.extraHeader": f"Authorization: Basic {_basic(token)}"}

    @contextlib.asynccontextmanager
    async def _write_lock(self) -> AsyncIterator[None]:
        """Hold the mirror alone: against tasks of this process and against other processes."""
        async with self._lock, file_lock(self.path.with_suffix(".lock"), timeout_seconds=self._lock_timeout):
            yield


def local_ref_name(ref: str) -> str:
    """The name under which a mirror keeps a ref of the repository."""
    return f"{_REFS}/{hashlib.sha256(ref.encode()).hexdigest()}"


def _create_empty(path: Path) -> None:
    """Make what `git init --bare` makes without a template."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        make_directory(path / folder)
    write_text(path / "config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tsharedRepository = 0600\n")
    write_text(path / "HEAD", "ref: refs/heads/main\n")


def _list_local_refs(path: Path) -> set[str]:
    """The names of all refs of a mirror: each is a file, or a line of `packed-refs` once git has gathered them."""
    names: set[str] = set()
    with contextlib.suppress(FileNotFoundError):
        names.update(f"{_REFS}/{file.name}" for file in os.scandir(path / _REFS) if not file.name.endswith(".lock"))
    with contextlib.suppress(FileNotFoundError):
        lines = (path / "packed-refs").read_text("utf-8", "replace").splitlines()
        names.update(name for line in lines if (name := line.partition(" ")[2]).startswith(f"{_REFS}/"))
    return names


def _check_ref(ref: str) -> None:
    parts = ref.split("/")
    has_invalid_part = any(part == "" or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    if not _REF.fullmatch(ref) or has_invalid_part or ".." in ref or "@{" in ref:
        raise ValueError(f"{ref[:200]!r} is not a full ref name such as refs/heads/main")


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _secrets(token: str | None) -> tuple[str, ...]:
    return () if token is None else (token, _basic(token))
