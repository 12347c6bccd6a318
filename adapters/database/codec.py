"""Values of `core` as JSON and back: by their types, so that no field can be forgotten."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from core.effects.base import Effect
from core.task import model

_TASK = TypeAdapter(model.Task)
_EFFECTS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in Effect.__args__}


def task_to_json(value: model.Task) -> dict[str, Any]:
    """The task as plain JSON values."""
    data: dict[str, Any] = _TASK.dump_python(value, mode="json")
    return data


def task_from_json(value: Any) -> model.Task:
    """The task that was stored.

    Raises pydantic's `ValidationError` when the stored state is none: then a migration is missing.
    """
    return _TASK.validate_python(value)


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """The effect's fields as plain JSON values; its kind is its class name."""
    data: dict[str, Any] = _EFFECTS[type(effect).__name__].dump_python(effect, mode="json")
    return data


def effect_from_json(kind: str, value: Any) -> Effect:
    """The effect that was stored under this kind."""
    effect: Effect = _EFFECTS[kind].validate_python(value)
    return effect
