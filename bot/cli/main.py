"""The command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from adapters.database.database import DatabaseError
from adapters.database.embedded import DataDirectoryError
from adapters.git import GitError
from adapters.github.errors import GitHubError
from bot.app import Bot, assemble
from bot.http.ingress import Ingress
from bot.logs import configure_logs
from config.problems import ConfigError, nearest, quote
from config.settings import Settings, SettingsError, load_settings
from config.task_templates import TaskTemplate, built_in
from core.intake.templates import markdown
from engine.forecast_backtest import CannotReplay
from engine.restore import NotEmptyError

app = typer.Typer(
    name="orchestrator",
    help="Runs a team of AI coding agents from a repository's own issues.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
T = TypeVar("T")
_errors = Console(stderr=True, soft_wrap=True, highlight=False)


@app.command()
def serve(
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Start with an empty database, although GitHub has tasks that the database does not know."
        ),
    ] = False,
) -> None:
    """Run the bot. Settings come from the environment or from `.env` (docs/configuration.md)."""
    try:
        settings = load_settings()
    except SettingsError as error:
        _stop(str(error))
    configure_logs(settings.log_level)
    try:
        asyncio.run(_serve(settings, anew, Ingress.parted(settings)))
    except (ConfigError, DatabaseError, DataDirectoryError, OSError, RuntimeError) as error:
        _stop(str(error))


async def _serve(settings: Settings, anew: bool, front: Ingress) -> None:
    from bot.cli.restore import forgotten

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with assemble(settings) as bot:
        if not anew and (names := await forgotten(bot)):
            raise RuntimeError(
                f"The database is empty, but the bot has worked on tasks in {', '.join(names)}. "
                "Run `orchestrator rebuild` to restore them, or `orchestrator serve --anew` to treat them as new."
            )
        await _run(bot, stop, front)


async def _run(bot: Bot, stop: asyncio.Event, front: Ingress) -> None:
    async with front.listening(bot) as address:
        _errors.print(f"Listening on {address}; send webhooks to {address}/webhook", markup=False)
        running = asyncio.create_task(bot.run())
        stopping, gone = asyncio.create_task(stop.wait()), asyncio.create_task(front.gone())
        await asyncio.wait({running, stopping, gone}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        if gone.done() and not stopping.done():
            raise RuntimeError(
                "The process that receives deliveries has ended, so this process ends too: start the service again."
            )
        stopping.cancel()
        gone.cancel()


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print only the summary, as one JSON object.")] = False,
) -> None:
    """Watch agents turn issues into merged code, in a GitHub sandbox on this machine."""
    from bot.demo.run import run_demo  # the sandbox is not part of a running service

    raise typer.Exit(run_demo(as_json=as_json))


@app.command()
def templates(
    as_json: Annotated[bool, typer.Option("--json", help="Print the full templates as one JSON object.")] = False,
) -> None:
    """List the ready-made tasks that `/task <name>` knows."""
    known = _templates()
    if as_json:
        typer.echo(json.dumps({name: template.model_dump() for name, template in known.items()}, ensure_ascii=False))
        return
    widest = max(map(len, known))
    for name, template in known.items():
        typer.echo(f"{name:{widest}}  {template.title}: {template.use}")


@app.command()
def template(
    name: Annotated[str, typer.Argument(help="Name of a template; `orchestrator templates` lists them.")],
) -> None:
    """Print a ready-made task as Markdown that you can paste into a new issue."""
    known = _templates()
    if name not in known:
        near = nearest(name, known)
        hint = f"Did you mean {near}?" if near else f"There are {', '.join(known)}."
        _stop(f"There is no template {quote(name)}. {hint}")
    typer.echo(markdown(known[name]), nl=False)


def _templates() -> Mapping[str, TaskTemplate]:
    try:
        return built_in()
    except ConfigError as error:
        _stop(str(error))


@app.command()
def forecast(
    path: Annotated[Path, typer.Argument(help="A git repository on this machine.")] = Path(),
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest merged branches to replay.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures and branches as one JSON object.")] = False,
) -> None:
    """Replay a repository's merged branches and measure how well the forecast predicts the changed files."""
    from bot.cli.forecast import as_json as told
    from bot.cli.forecast import replayed, show

    try:
        found = asyncio.run(replayed(path.absolute(), limit, quiet=as_json))
    except (CannotReplay, GitError, RuntimeError) as error:
        _stop(str(error))
    if as_json:
        typer.echo(told(path, found))
    else:
        show(path, found, Console())


@app.command()
def verify(
    repository: Annotated[str, typer.Option(help="Only this repository, as owner/name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the audit log: its hash chain is complete, and replaying it gives every stored task."""
    from bot.cli.audit import verdicts

    found = _of_the_database(lambda settings: verdicts(settings, repository))
    if as_json:
        typer.echo(json.dumps({name: asdict(verdict) for name, verdict in found.items()}))
    for name, verdict in found.items() if not as_json else ():
        told = "no problems" if not verdict.problems else f"{len(verdict.problems)} problem(s)"
        typer.echo(f"{name}: {verdict.events} lines, {verdict.tasks} tasks: {told}")
        for problem in verdict.problems:
            typer.echo(f"  {problem}")
    raise typer.Exit(1 if any(verdict.problems for verdict in found.values()) else 0)


@app.command()
def history(
    number: Annotated[int, typer.Argument(help="Number of the issue.")],
    repository: Annotated[str, typer.Option(help="Repository as owner/name; not needed if there is only one.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest entries to print.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print each entry as one JSON object.")] = False,
) -> None:
    """Print the audit log of a task, oldest entry first."""
    from bot.cli.audit import history_of, line_of

    for event in _of_the_database(lambda settings: history_of(settings, repository, number, limit)):
        typer.echo(line_of(event, as_json=as_json))


@app.command()
def retrospective(
    repository: Annotated[str, typer.Option(help="Repository as owner/name; not needed if there is only one.")] = "",
    since: Annotated[
        str, typer.Option(help="A day (2026-03-01) or how long ago (7d, 12h). Default: the last retrospective.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    post: Annotated[bool, typer.Option("--post", help="Let the running bot open the issue.")] = False,
) -> None:
    """Print a retrospective on the done tasks: figures, what went well, what to improve."""
    from bot.cli.retrospective import held_now, told

    typer.echo(told(_of_the_database(lambda settings: held_now(settings, repository, since, post)), as_json=as_json))


@app.command()
def digest(
    repository: Annotated[str, typer.Option(help="Repository as owner/name; not needed if there is only one.")] = "",
) -> None:
    """Print the current progress digest of a repository."""
    from bot.cli.digest import page

    typer.echo(_of_the_database(lambda settings: page(settings, repository)), nl=False)


@app.command()
def rebuild(
    repository: Annotated[str, typer.Option(help="Only this repository, as owner/name.")] = "",
    former_key: Annotated[
        list[Path] | None, typer.Option(help="A file with an earlier private key of the App; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore an empty database from GitHub: tasks, attempts, holders, waits. Run this before `serve`."""
    from bot.cli import restore as again

    try:
        found = _of_the_database(lambda settings: again.rebuilt(settings, repository, former_key or ()))
    except (NotEmptyError, GitHubError, ConfigError, ValueError) as error:
        _stop(str(error))
    if as_json:
        typer.echo(again.as_json(found))
        return
    for line in (line for one in found for line in again.lines_of(one)):
        typer.echo(line)
    typer.echo("\nGitHub does not have:\n" + "\n".join(f"- {lost}" for lost in again.LOST))


@app.command("dead-letters")
def dead_letters(
    which: Annotated[
        str | None, typer.Argument(help="With --resend or --forget: the start of its line in the list.")
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Let the running bot try again; without a name: all messages on channels.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --resend: everything that can be sent again.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Remove it from the list without sending it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each as one JSON object.")] = False,
) -> None:
    """List the dead letters (effects, messages on channels, deliveries), send them again or forget them."""
    from bot.cli import dead_letters as letters

    if forget and which:
        _of_the_database(lambda settings: letters.forget(settings, which))
        typer.echo("Forgotten.")
    elif forget or (which and not resend):
        _stop("Name a dead letter and an action: `orchestrator dead-letters <which> --resend`, or `--forget`.")
    elif resend:
        count = _of_the_database(lambda settings: letters.resend(settings, which, every=every))
        typer.echo(f"The bot will try {count} again.")
    else:
        for letter in _of_the_database(letters.dead_letters):
            typer.echo(letters.line_of(letter, as_json=as_json))


def _of_the_database(ask: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """What the bot's database says; it may be running meanwhile."""
    try:
        settings = load_settings()
        configure_logs("ERROR")
        return asyncio.run(ask(settings))
    except (SettingsError, DatabaseError, DataDirectoryError, LookupError, OSError, RuntimeError) as error:
        _stop(str(error))


def _stop(reason: str) -> NoReturn:
    for line in reason.splitlines():
        _errors.print(line, style="bold red", markup=False)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the command `orchestrator`."""
    app()
