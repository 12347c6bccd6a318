"""Defines the section `escalation` of a repository's configuration: people and alert channels to notify."""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from config.agent_kinds import ConfigModel, check_unique
from config.durations import Duration
from config.problems import quote, validation_error

PERSON_PATTERN: Final = r"^[A-Za-z0-9](-?[A-Za-z0-9])*(/[A-Za-z0-9._-]+)?$"
ROTATION_PATTERN: Final = r"^([1-9][0-9]?)([dw])$"

ChannelName = Literal["webhook", "slack", "email", "log"]


def _check_person(value: str) -> str:
    if re.fullmatch(PERSON_PATTERN, value) and len(value) <= 140:
        return value
    hint = f"write `{value[1:]}`" if re.fullmatch(PERSON_PATTERN, value[1:]) and value.startswith("@") else ""
    raise validation_error("must be a login such as alice or a team such as acme/maintainers", suggestion=hint)


def _check_time_zone(value: str) -> str:
    """The name of a time zone, checked."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = "write one such as Europe/Berlin or UTC"
        raise validation_error(f"{quote(value[:60])} is not a time zone", suggestion=hint) from None
    return value


def _parse_date(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise validation_error("must be a day such as 2026-01-05")


def _parse_rotation(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(ROTATION_PATTERN, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise validation_error("must be whole days or weeks, such as 1w or 3d")
    return timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))


Person = Annotated[str, AfterValidator(_check_person), WithJsonSchema({"type": "string", "pattern": PERSON_PATTERN})]
Day = Annotated[date, BeforeValidator(_parse_date), WithJsonSchema({"type": "string", "format": "date"})]
RotationLength = Annotated[
    timedelta,
    BeforeValidator(_parse_rotation),
    PlainSerializer(lambda value: f"{value.days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": ROTATION_PATTERN}),
]


class OnCall(ConfigModel):
    """Who is on call: one person after the other, in the order of the list."""

    people: Annotated[tuple[Person, ...], Field(min_length=1, max_length=50)] = Field(
        description="Logins or teams, in the order of their turns; an entry that appears twice has two turns."
    )
    start: Day = Field(description="The day on which the first turn of the first entry begins, such as `2026-01-05`.")
    rotation: RotationLength = Field(
        timedelta(weeks=1), description="How long a turn is: whole days or weeks, `1w`, `3d`."
    )
    zone: Annotated[str, AfterValidator(_check_time_zone)] = Field(
        "UTC", description="The time zone at whose midnight turns change, such as `Europe/Berlin`."
    )


class EscalationSettings(ConfigModel):
    """Whom to notify if only a person can help: code owners first, then who is on call, then `to`."""

    timeout: Duration = Field(
        timedelta(minutes=5), description="How long the bot waits for an answer before it calls the next level."
    )
    on_call: OnCall | None = Field(None, description="The people who are on call in turns.")
    fallback: Annotated[tuple[Person, ...], Field(max_length=20), AfterValidator(check_unique)] = Field(
        (),
        description="Logins or teams that the bot calls last. If it finds no one at all, it calls the person "
        "who approved the task.",
    )
    channels: Annotated[tuple[ChannelName, ...], AfterValidator(check_unique)] = Field(
        (),
        description="Channels for calls besides GitHub; the bot also sends the progress digest there, in one "
        "line. The operator of the service configures each channel.",
    )
