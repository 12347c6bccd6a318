"""`orchestrator retrospective`: print figures on finished tasks; with `--post` the bot opens the issue as well."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from adapters.database import repositories
from bot.cli.database import open_database, open_read_only, select_repository
from config.settings import Settings
from core.retro.model import Retrospective, build_retrospective, parse_since
from core.texts.retrospective import retrospective_body, retrospective_title
from engine import retrospectives
from engine.clock import SystemClock
from engine.session import NoConfiguration
from engine.unit_of_work import UnitOfWorkFactory

_JSON = TypeAdapter(Retrospective)


async def create_retrospective(settings: Settings, name_filter: str, since: str, post: bool) -> Retrospective:
    """Compute the retrospective; with `post` it is stored, and the running bot opens its issue.

    Raises LookupError, with a sentence for the user, if there is no finished task or no place to post it.
    """
    now = SystemClock().now()
    try:
        since_time = parse_since(since, now)
    except ValueError as error:
        raise LookupError(str(error)) from None
    async with open_read_only(settings) as connection:
        repository_id, full_name = await select_repository(connection, name_filter)
        repository = await repositories.load_repository(connection, repository_id)
        retrospective_input = (
            await retrospectives.load_input(connection, repository, since_time) if repository else None
        )
    retrospective = (
        build_retrospective(retrospective_input, f"asked:{now.isoformat()}", now, since=since_time)
        if retrospective_input
        else None
    )
    if retrospective is None:
        hint = "that is not in an earlier retrospective. To look further back, use --since 7d"
        raise LookupError(f"No task was done in {full_name} {'since then' if since_time else hint}.")
    if post:
        await _post(settings, repository_id, retrospective)
    return retrospective


async def _post(settings: Settings, repository_id: int, retrospective: Retrospective) -> None:
    async with open_database(settings) as (database, jobs):
        try:
            async with UnitOfWorkFactory(database, jobs, SystemClock().now).begin(repository_id) as unit:
                if unit.session.policy.dry_run:
                    raise LookupError("The repository is in dry run, so the bot does not write this to GitHub.")
                await retrospectives.save_retrospective(unit.session, retrospective)
        except NoConfiguration:
            raise LookupError(
                "The repository has no configuration, so the bot does not write this to GitHub."
            ) from None


def format_retrospective(retrospective: Retrospective, *, as_json: bool) -> str:
    """The printed text: the Markdown of the issue, or all figures as one JSON object with times in ISO 8601."""
    if not as_json:
        text, _, _ = retrospective_body(retrospective).rstrip().rpartition("\n")  # without the marker
        return f"# {retrospective_title(retrospective)}\n\n{text.rstrip()}"
    medians = TypeAdapter(dict[str, object]).dump_python(
        {"lead": retrospective.median_lead_time, "cycle": retrospective.median_cycle_time}, mode="json"
    )
    return json.dumps({**_JSON.dump_python(retrospective, mode="json"), "median": medians}, ensure_ascii=False)
