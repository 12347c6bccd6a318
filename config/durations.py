"""Parses and formats durations: `90s`, `2m`, `8h`, `1d`, `1h30m`."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from config.problems import validation_error

DURATION_PATTERN: Final = r"^(?=[0-9])([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"
MIN_DURATION: Final = timedelta(seconds=1)
# Check runs become stale after 14 days, and a task should not sleep longer than its team remembers it.
MAX_DURATION: Final = timedelta(days=30)
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse_duration(text: str) -> timedelta:
    """`1h30m` → 90 minutes. Units are d, h, m and s, larger before smaller, whole numbers only.

    Raises ValueError if the text is no duration or is outside 1 s … 30 d.
    """
    match = re.match(DURATION_PATTERN, text, re.ASCII)
    if match is None or text.endswith("\n"):
        raise ValueError("must be a duration with its unit, such as 90s, 10m, 2h, 1d or 1h30m")
    amounts = zip(match.groups(), _UNITS, strict=True)
    value = timedelta(seconds=sum(int(part[:-1]) * seconds for part, (_, seconds) in amounts if part))
    if not MIN_DURATION <= value <= MAX_DURATION:
        raise ValueError("must be between 1s and 30d")
    return value


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads as `value` again; parts of a second are cut off."""
    remaining_seconds, text = int(value.total_seconds()), ""
    for unit, seconds in _UNITS:
        amount, remaining_seconds = divmod(remaining_seconds, seconds)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def _validate_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise validation_error(str(error)) from None


Duration = Annotated[
    timedelta,
    BeforeValidator(_validate_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "format": "short-duration", "pattern": DURATION_PATTERN}),
]
