"""Paths into the column `tasks.state`, the JSON of a `Task`."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from sqlalchemy import ColumnElement

from adapters.database import tables as t
from core.task.model import Task


def task_field(*names: str) -> Any:
    """The JSON element of a task's field, or of a field of that field's value: `task_field("lease", "role")`.

    Raises `AttributeError` if `Task` has no such field, so that a field that is renamed cannot be left behind here.
    """
    element: ColumnElement[Any] = t.tasks.c.state
    type_: Any = Task
    for name in names:
        classes = [cls for cls in (type_, *get_args(type_)) if is_dataclass(cls)]
        hints = get_type_hints(classes[0]) if classes else {}
        if name not in hints:
            raise AttributeError(f"tasks.state has no field {'.'.join(names)}")
        element, type_ = element[name], hints[name]
    return element
