"""Read and move the refs of a bare repository without a git process, under git's own locks."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from sandbox.git.command import GitCommandError
from sandbox.git.objects import ZERO

_INVALID_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.$|/$|(?:^|/)\.|\.lock(?:/|$)")


@dataclass(slots=True)
class RefStore:
    """The refs of the repository at `path`."""

    path: Path

    def read(self, name: str) -> str | None:
        """The object of a full ref name, or None when there is no such ref."""
        if ".." in name or not name.startswith("refs/"):
            return None
        loose = self.path / name
        if loose.is_file():
            return loose.read_text().strip()
        return self._packed().get(name)

    def head(self) -> str:
        """The full name of the ref that `HEAD` points to."""
        return (self.path / "HEAD").read_text().strip().removeprefix("ref: ")

    def list_refs(self, prefix: str) -> dict[str, str]:
        """Every ref below a folder such as `refs/heads/` with its object, by name."""
        refs = {name: sha for name, sha in self._packed().items() if name.startswith(prefix)}
        folder = self.path / prefix
        for directory, _, names in os.walk(folder):
            for name in names:
                if not name.endswith(".lock"):
                    file = Path(directory, name)
                    with contextlib.suppress(FileNotFoundError):
                        refs[file.relative_to(self.path).as_posix()] = file.read_text().strip()
        return dict(sorted(refs.items(), key=lambda pair: pair[0].encode()))

    def update(self, name: str, new: str, old: str | None = None) -> str:
        """Set a ref, only from `old` when given; forty zeros as `new` delete it. Returns the object it had before.

        Raises GitError when the name is invalid or collides with another, when the ref is locked or was moved.
        """
        if not name.startswith("refs/") or _INVALID_NAME.search(name):
            raise _ref_error(name, "not a valid ref name")
        file = self.path / name
        self._check_name_conflict(name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(f"{file}.lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except (FileExistsError, NotADirectoryError) as error:
            raise _ref_error(name, f"cannot be locked: {error.strerror}") from error
        try:
            before = self.read(name) or ZERO
            if old is not None and old != before:
                raise _ref_error(name, f"is at {before} but expected {old}")
            if new == ZERO:
                self._remove_packed(name)
                file.unlink(missing_ok=True)
            else:
                os.write(lock, f"{new}\n".encode())
                if file.is_dir():  # folders without refs
                    file.rmdir()
                os.rename(f"{file}.lock", file)
        finally:
            os.close(lock)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{file}.lock")
        if new == ZERO:
            self._remove_empty_folders(file.parent)
        return before

    def _packed(self) -> dict[str, str]:
        try:
            lines = (self.path / "packed-refs").read_text().splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.split(" ", 1) for line in lines if line and line[0] not in "#^")
        return {name: sha for sha, name in pairs}

    def _check_name_conflict(self, name: str) -> None:
        """A ref cannot lie below another, nor another below it."""
        parts = name.split("/")
        conflicting = next((prefix for end in range(3, len(parts)) if self.read(prefix := "/".join(parts[:end]))), None)
        if conflicting is not None or self.list_refs(f"{name}/"):
            raise _ref_error(name, f"is in the way of {conflicting or f'refs below {name}/'}")

    def _remove_packed(self, name: str) -> None:
        packed = self.path / "packed-refs"
        if name not in self._packed():
            return
        remaining: list[str] = []
        is_dropped = False
        for line in packed.read_text().splitlines(keepends=True):
            if not line.startswith("^"):  # the object that the preceding tag points to
                is_dropped = line.rstrip("\n").endswith(f" {name}")
            if not is_dropped:
                remaining.append(line)
        new_file = packed.with_name("packed-refs.new")
        new_file.write_text("".join(remaining))
        new_file.rename(packed)

    def _remove_empty_folders(self, folder: Path) -> None:
        # `refs/heads` and the like remain.
        while len(folder.relative_to(self.path).parts) > 2:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _ref_error(name: str, reason: str) -> GitCommandError:
    return GitCommandError(["update-ref", name], 128, f"{name}: {reason}")
