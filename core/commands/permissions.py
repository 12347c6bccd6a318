"""Decides who may use which form of a command: by the role on the repository, or as the holder of the task."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.task.model import Actor, Lease, Task

ROLES = ("none", "read", "triage", "write", "maintain", "admin")  # GitHub's, weakest first


@dataclass(frozen=True, slots=True)
class CommandForm:
    """One form of a command: what it does, who may use it, and an example.

    `role` is the weakest role on the repository that may use it; a user without a role has `none`.
    """

    role: str
    help: str
    example: str
    allows_holder: bool = False  # the holder of the task may use it, whatever the role


def has_role(role: str, required: str) -> bool:
    """Whether `role` is `required` or stronger. An unknown role (a custom one) counts as none."""
    return required == "none" or (role in ROLES and ROLES.index(role) >= ROLES.index(required))


def is_lease_holder(lease: Lease | None, actor: Actor, agent_names: Collection[str] | None) -> bool:
    """Whether this actor holds the lease: the person who claimed the task, or the account of one of the agents."""
    if lease is None:
        return False
    return lease.holder_id == actor.id if lease.worker is None else lease.worker in (agent_names or ())


def permission_problem(
    name: str,
    form: CommandForm,
    actor: Actor,
    role: str,
    task: Task | None,
    agent_names: Collection[str] | None = None,
) -> str | None:
    """Why this actor may not use this form now, or None. `agent_names` are the agents that use this account."""
    holds_task = task is not None and (
        is_lease_holder(task.lease, actor, agent_names) or is_lease_holder(task.review_lease, actor, agent_names)
    )
    if has_role(role, form.role) or (form.allows_holder and holds_task):
        return None
    requirement = f"{form.role} access" + (", or must be the holder" if form.allows_holder else "")
    access = role if role in ROLES[1:] else "no"
    return f"`/{name}` needs {requirement}; you have {access} access to this repository."
