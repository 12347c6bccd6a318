"""Git as a child process: nothing leaks in, nothing leaks out, nothing hangs."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from adapters.git.process import Git, GitError, GitTimeoutError, check_git_version
from tests.manual_loop import HANGING_SCRIPT, ManualLoop


def script(folder: Path, text: str) -> str:
    """A program that stands in for git."""
    path = folder / "pretended-git"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_our_own_environment_and_configuration_stay_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_PRIVATE_KEY", "a secret of ours")
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.hooksPath=/evil'")
    git = Git(executable=script(tmp_path, "env"))

    seen = (await git.run("anything")).stdout.decode()

    assert "secret of ours" not in seen
    assert "GIT_TRACE_CURL" not in seen
    assert "/evil" not in seen
    assert "GIT_TERMINAL_PROMPT=0" in seen
    assert f"GIT_CONFIG_GLOBAL={os.devnull}" in seen


async def test_a_user_configuration_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Mallory\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    found = await Git().run("config", "--get", "user.name", allowed_statuses=(0, 1))

    assert (found.exit_status, found.stdout) == (1, b"")


async def test_errors_say_what_git_said_without_tokens(tmp_path: Path) -> None:
    git = Git(executable=script(tmp_path, 'echo "fatal: https://bob:hunter2@host/x ghs_token refused" >&2; exit 7'))

    with pytest.raises(GitError) as caught:
        await git.run("fetch", secrets=("ghs_token",))

    error = caught.value
    assert (error.command, error.exit_status) == ("fetch", 7)
    assert error.stderr == "fatal: https://***@host/x *** refused"
    assert "hunter2" not in str(error)


async def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids, ready = tmp_path / "pids", tmp_path / "ready"
    git = Git(
        timeout=60,
        executable=script(tmp_path, f"sleep 600 & echo $! $$ > {pids}; {HANGING_SCRIPT.format(signal=ready)}"),
    )

    with ManualLoop().advance_on_signal(ready, 61), pytest.raises(GitTimeoutError, match="killed after 60 s"):
        await git.run("fetch")

    for pid in pids.read_text().split():
        await gone(int(pid))


async def test_a_cancelled_caller_leaves_no_process_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(tmp_path / "ready")
    git = Git(executable=script(tmp_path, f"echo $$ > {pids}; echo > {tmp_path / 'ready'}; exec sleep 600"))
    task = asyncio.create_task(git.run("fetch"))
    await asyncio.to_thread((tmp_path / "ready").read_text)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await gone(int(pids.read_text()))


def alive(pid: int) -> bool:
    """Whether a process still runs; one that is dead and merely not yet cleared away does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    async with asyncio.timeout(120):
        while alive(pid):
            await asyncio.sleep(0)


async def test_a_missing_git_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="cannot start"):
        await Git(executable=str(tmp_path / "none")).run("version")
    with pytest.raises(RuntimeError, match=r"git cannot be run .*install git 2\.39 or newer"):
        await check_git_version(Git(executable=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("git version 2.39.5", (2, 39)),
        ("git version 2.50.1 (Apple Git-155)", (2, 50)),
        ("git version 3.0.0.windows.1", (3, 0)),
        ("git version 2.38.1", "git 2.38 is too old"),
        ("git version 1.8.3.1", "git 1.8 is too old"),
        ("hello", "reports 'hello'"),
    ],
)
async def test_the_version_of_git(tmp_path: Path, said: str, answer: tuple[int, int] | str) -> None:
    git = Git(executable=script(tmp_path, f"echo '{said}'"))
    if isinstance(answer, tuple):
        assert await check_git_version(git) == answer
    else:
        with pytest.raises(RuntimeError, match=answer):
            await check_git_version(git)


async def test_a_signal_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        await Git(executable=script(tmp_path, "kill -9 $$")).run("gc")
    assert caught.value.exit_status == -signal.SIGKILL
