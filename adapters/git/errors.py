"""Defines the errors of git commands."""

from __future__ import annotations

import signal


class GitError(Exception):
    """Git failed. `command` is its subcommand, `exit` its status, `stderr` the end of what it said, tokens
    removed.
    """

    def __init__(self, command: str, exit_status: int, stderr: str) -> None:
        super().__init__(f"git {command} failed with status {exit_status}: {stderr or 'it said nothing'}")
        self.command = command
        self.exit_status = exit_status
        self.stderr = stderr


class GitLimitError(GitError):
    """Git printed more, or needed more memory, than it may. `output` is what was read."""

    def __init__(self, command: str, limit: str, output: bytes = b"") -> None:
        super().__init__(command, -signal.SIGKILL, f"stopped at its limit of {limit}")
        self.output = output


class GitTimeoutError(GitError):
    """Git took longer than it may and was killed, with all its children. `output` is what it had printed by then."""

    def __init__(self, command: str, timeout_seconds: float, output: bytes = b"") -> None:
        super().__init__(command, -signal.SIGKILL, f"killed after {timeout_seconds:g} s")
        self.output = output
