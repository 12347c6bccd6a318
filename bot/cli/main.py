"""Defines the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
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
from config.problems import ConfigError, nearest_word, quote
from config.settings import Settings, SettingsError, load_settings
from config.task_templates import TaskTemplate, built_in_templates
from core.intake.templates import render_template
from engine.forecast_backtest import BacktestError
from engine.restore import NotEmptyError

app = typer.Typer(
    name="orchestrator",
    help="Runs a team of AI coding agents from a repository's own issues.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
T = TypeVar("T")
_stderr = Console(stderr=True, soft_wrap=True, highlight=False)


@app.command()
def serve(
    allow_empty_database: Annotated[
        bool,
        typer.Option(
            "--allow-empty-database", help="Start with an empty database although GitHub has tasks the bot worked on."
        ),
    ] = False,
) -> None:
    """Run the bot. Settings come from the environment or from `.env` (docs/configuration.md)."""
    try:
        settings = load_settings()
    except SettingsError as error:
        _exit_with_error(str(error))
    configure_logs(settings.log_level)
    os.umask(0o077)  # what the bot and its children write is for no other user
    try:
        asyncio.run(_serve(settings, allow_empty_database, Ingress.fork(settings)))
    except (ConfigError, DatabaseError, DataDirectoryError, OSError, RuntimeError) as error:
        _exit_with_error(str(error))


async def _serve(settings: Settings, allow_empty_database: bool, ingress: Ingress) -> None:
    from bot.cli.restore import repositories_to_restore

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    async with assemble(settings) as bot:
        if not allow_empty_database and (missing_repositories := await repositories_to_restore(bot)):
            raise RuntimeError(
                f"The database is empty, but the bot has worked on tasks in {', '.join(missing_repositories)}. "
                "Run `orchestrator restore` to restore them, "
                "or `orchestrator serve --allow-empty-database` to start without them."
            )
        await _run(bot, stop, ingress)


async def _run(bot: Bot, stop: asyncio.Event, ingress: Ingress) -> None:
    async with ingress.listening(bot) as address:
        _stderr.print(f"Listening on {address}; send webhooks to {address}/webhook", markup=False)
        bot_task = asyncio.create_task(bot.run())
        stop_task, ingress_exit_task = asyncio.create_task(stop.wait()), asyncio.create_task(ingress.wait_exited())
        await asyncio.wait({bot_task, stop_task, ingress_exit_task}, return_when=asyncio.FIRST_COMPLETED)
        bot_task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await bot_task
        if ingress_exit_task.done() and not stop_task.done():
            raise RuntimeError(
                "The process that receives deliveries has ended, so this process ends too: start the service again."
            )
        stop_task.cancel()
        ingress_exit_task.cancel()


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
    task_templates = _templates()
    if as_json:
        typer.echo(
            json.dumps({name: template.model_dump() for name, template in task_templates.items()}, ensure_ascii=False)
        )
        return
    width = max(map(len, task_templates))
    for name, template in task_templates.items():
        typer.echo(f"{name:{width}}  {template.title}: {template.use}")


@app.command()
def template(
    name: Annotated[str, typer.Argument(help="Name of a template; `orchestrator templates` lists them.")],
) -> None:
    """Print a ready-made task as Markdown that you can paste into a new issue."""
    task_templates = _templates()
    if name not in task_templates:
        suggestion = nearest_word(name, task_templates)
        hint = f"Did you mean {suggestion}?" if suggestion else f"There are {', '.join(task_templates)}."
        _exit_with_error(f"There is no template {quote(name)}. {hint}")
    typer.echo(render_template(task_templates[name]), nl=False)


def _templates() -> Mapping[str, TaskTemplate]:
    try:
        return built_in_templates()
    except ConfigError as error:
        _exit_with_error(str(error))


@app.command()
def forecast(
    path: Annotated[Path, typer.Argument(help="A git repository on this machine.")] = Path(),
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest merged branches to replay.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures and branches as one JSON object.")] = False,
) -> None:
    """Replay a repository's merged branches and measure how well the forecast predicts the changed files."""
    from bot.cli.forecast import print_report, run_with_progress, to_json

    try:
        result = asyncio.run(run_with_progress(path.absolute(), limit, quiet=as_json))
    except (BacktestError, GitError, RuntimeError) as error:
        _exit_with_error(str(error))
    if as_json:
        typer.echo(to_json(path, result))
    else:
        print_report(path, result, Console())


audit = typer.Typer(help="Check and read the audit log.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command()
def verify(
    repository: Annotated[str, typer.Option(help="Only this repository, as owner/name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the audit log: its hash chain is complete, and replaying it gives every stored task."""
    from bot.cli.audit import verify_repositories

    results = _run_with_settings(lambda settings: verify_repositories(settings, repository))
    if as_json:
        typer.echo(json.dumps({name: asdict(result) for name, result in results.items()}))
    for name, result in results.items() if not as_json else ():
        summary = "no problems" if not result.problems else f"{len(result.problems)} problem(s)"
        typer.echo(f"{name}: {result.events} lines, {result.tasks} tasks: {summary}")
        for problem in result.problems:
            typer.echo(f"  {problem}")
    raise typer.Exit(1 if any(result.problems for result in results.values()) else 0)


@audit.command("show")
def show_audit_log(
    number: Annotated[int, typer.Argument(help="Number of the issue.")],
    repository: Annotated[str, typer.Option(help="Repository as owner/name; not needed if there is only one.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of the latest entries to print.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print each entry as one JSON object.")] = False,
) -> None:
    """Print the audit log of a task, oldest entry first."""
    from bot.cli.audit import format_event, task_history

    for event in _run_with_settings(lambda settings: task_history(settings, repository, number, limit)):
        typer.echo(format_event(event, as_json=as_json))


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
    from bot.cli.retrospective import create_retrospective, format_retrospective

    typer.echo(
        format_retrospective(
            _run_with_settings(lambda settings: create_retrospective(settings, repository, since, post)),
            as_json=as_json,
        )
    )


@app.command()
def digest(
    repository: Annotated[str, typer.Option(help="Repository as owner/name; not needed if there is only one.")] = "",
) -> None:
    """Print the current progress digest of a repository."""
    from bot.cli.digest import digest_markdown

    typer.echo(_run_with_settings(lambda settings: digest_markdown(settings, repository)), nl=False)


@app.command()
def restore(
    repository: Annotated[str, typer.Option(help="Only this repository, as owner/name.")] = "",
    previous_key: Annotated[
        list[Path] | None, typer.Option(help="A file with an earlier private key of the App; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore an empty database from GitHub: tasks, attempts, holders, waits. Run this before `serve`."""
    from bot.cli import restore as restore_command

    try:
        reports = _run_with_settings(
            lambda settings: restore_command.restore_repositories(settings, repository, previous_key or ())
        )
    except (NotEmptyError, GitHubError, ConfigError, ValueError) as error:
        _exit_with_error(str(error))
    if as_json:
        typer.echo(restore_command.to_json(reports))
        return
    for line in (line for report in reports for line in restore_command.format_report(report)):
        typer.echo(line)
    typer.echo("\nGitHub does not have:\n" + "\n".join(f"- {item}" for item in restore_command.NOT_RESTORED))


@app.command("dead-letters")
def dead_letters(
    dead_letter_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Prefix of the dead letter's id, for --resend or --forget."),
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Let the running bot try again; without an ID: all messages on channels.")
    ] = False,
    retry_all: Annotated[bool, typer.Option("--all", help="With --resend: everything that can be sent again.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Discard it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each as one JSON object.")] = False,
) -> None:
    """List the dead letters (effects, messages on channels, deliveries), send them again or forget them."""
    from bot.cli import dead_letters as dead_letter_command

    if forget and dead_letter_id:
        _run_with_settings(lambda settings: dead_letter_command.discard_dead_letter(settings, dead_letter_id))
        typer.echo("Discarded.")
    elif forget or (dead_letter_id and not resend):
        _exit_with_error("Name a dead letter and an action: `orchestrator dead-letters ID --resend`, or `--forget`.")
    elif resend:
        count = _run_with_settings(
            lambda settings: dead_letter_command.retry_dead_letters(settings, dead_letter_id, retry_all=retry_all)
        )
        typer.echo(f"The bot will try {count} again.")
    else:
        for dead_letter in _run_with_settings(dead_letter_command.list_dead_letters):
            typer.echo(dead_letter_command.format_dead_letter(dead_letter, as_json=as_json))


def _run_with_settings(query: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Run a query on the bot's database, also while the bot runs."""
    try:
        settings = load_settings()
        configure_logs("ERROR")
        return asyncio.run(query(settings))
    except (SettingsError, DatabaseError, DataDirectoryError, LookupError, OSError, RuntimeError) as error:
        _exit_with_error(str(error))


def _exit_with_error(message: str) -> NoReturn:
    for line in message.splitlines():
        _stderr.print(line, style="bold red", markup=False)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the command `orchestrator`."""
    app()
