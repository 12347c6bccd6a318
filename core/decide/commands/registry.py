"""Registers the slash commands, each once: its forms, who may use it, its help, its rule, and what the rule needs.

`/help`, the documentation, the permission check and the hint for a mistyped word are made from this table.
"""

from __future__ import annotations

from core.commands.permissions import CommandForm
from core.decide.builder import Context
from core.decide.commands import (
    agents,
    dependencies,
    holder,
    maintainer,
    plan_review,
    queries,
    retro,
    task,
    task_settings,
)
from core.decide.commands.base import Command, CommandResult, GlobalCommand, Need, TaskCommand
from core.signals.base import CommandReceived
from core.task.model import Task
from core.texts import help_text


def _show_help(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    return CommandResult(help_text([form for command in COMMANDS.values() for form in command.all_forms]))


def needs_of_command(name: str) -> frozenset[Need]:
    """What the rule of a command needs; nothing for an unknown command."""
    return COMMANDS[name].needs if name in COMMANDS else frozenset()


_COMMANDS: tuple[Command, ...] = (
    GlobalCommand("none", "Lists the commands you can use.", "/help", rule=_show_help),
    TaskCommand(
        "none",
        "Shows the state of this task and what it waits for.",
        "/status",
        rule=queries.show_status,
        needs=frozenset({Need.DEAD_LETTERS}),
    ),
    TaskCommand(
        "none",
        "Shows why the bot chose this agent, or none; with a number, for an earlier attempt.",
        "/explain",
        rule=queries.explain_choice,
        needs=frozenset({Need.ASSIGNMENTS}),
    ),
    TaskCommand(
        "none",
        "Shows the last entries of this task's audit log.",
        "/history",
        rule=queries.show_history,
        needs=frozenset({Need.RECENT_EVENTS}),
    ),
    GlobalCommand(
        "none",
        "Shows which open pull requests conflict, and the conflicts of this task.",
        "/conflicts",
        rule=queries.show_conflicts,
        needs=frozenset({Need.OPEN_PULLS, Need.PAIRS}),
    ),
    GlobalCommand(
        "none",
        "Shows the first tasks in the queue and the agent that would get each.",
        "/next",
        rule=queries.show_queue,
        needs=frozenset({Need.QUEUE, Need.LATEST_RETROSPECTIVE}),
    ),
    GlobalCommand(
        "none",
        "Shows the agents: capabilities, current tasks and state.",
        "/agents",
        rule=agents.manage_agents,
        needs=frozenset({Need.ACTIVE_TASKS, Need.HEALTH, Need.MEASURES}),
        forms={
            "add": CommandForm(
                "write",
                "Adds an agent; the settings are those of the configuration file.",
                "/agents add codex adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2",
            ),
            "set": CommandForm(
                "write", "Changes settings of an agent; `key=` removes one.", "/agents set codex max_tasks=3"
            ),
            "drain": CommandForm(
                "write", "Stops giving an agent new tasks; its current tasks continue.", "/agents drain codex"
            ),
            "resume": CommandForm(
                "write",
                "Makes a drained or removed agent available again, or ends the pause of a failed one.",
                "/agents resume codex",
            ),
            "remove": CommandForm("write", "Removes an agent; it finishes its current tasks.", "/agents remove codex"),
            "reset": CommandForm("write", "Restores an agent's configured settings.", "/agents reset codex"),
        },
    ),
    TaskCommand(
        "write",
        "Takes the task yourself and shows the hand-off.",
        "/claim",
        allows_holder=True,
        rule=holder.claim_task,
    ),
    TaskCommand("write", "Returns the task to the queue.", "/release", allows_holder=True, rule=holder.release_task),
    TaskCommand(
        "write",
        "Reports that the holder is still working.",
        "/heartbeat",
        allows_holder=True,
        is_work_report=True,
        rule=holder.report_heartbeat,
    ),
    TaskCommand(
        "write",
        "Reports progress; the task card shows it.",
        "/progress half of the tests pass",
        allows_holder=True,
        is_work_report=True,
        rule=holder.report_progress,
    ),
    TaskCommand(
        "write",
        "Hands in the work: the bot checks the pull request, even if it is a draft.",
        "/review",
        allows_holder=True,
        is_work_report=True,
        rule=holder.review,
        forms={
            "approve": CommandForm(
                "write", "Approves the current commit of the pull request.", "/review approve Well tested.", True
            ),
            "changes": CommandForm(
                "write",
                "Requests changes; the next hand-off contains the rest of the comment.",
                "/review changes The total is wrong for an empty cart.",
                True,
            ),
        },
    ),
    TaskCommand(
        "write",
        "Sets the plan for the implementing agent; the rest of the comment is the plan.",
        "/plan First the table of rates, then the total.",
        allows_holder=True,
        is_work_report=True,
        rule=plan_review.submit_plan,
    ),
    TaskCommand(
        "write",
        "Checks whether the task is done and lists what is missing.",
        "/complete",
        allows_holder=True,
        rule=holder.check_completion,
    ),
    TaskCommand(
        "write",
        "Ends the attempt as failed; the next hand-off contains the reason.",
        "/fail the API has no such call",
        allows_holder=True,
        is_work_report=True,
        rule=holder.give_up,
    ),
    GlobalCommand(
        "triage",
        "Makes the issue a task; with write access it also approves the text. A template fills in missing sections.",
        "/task bug",
        rule=task.create_task,
        needs=frozenset({Need.ISSUE, Need.TEMPLATES}),
    ),
    TaskCommand(
        "triage",
        "Checks whether the task is ready and shows the hand-off that an agent would receive.",
        "/prep",
        rule=task_settings.preview_handoff,
    ),
    TaskCommand(
        "triage",
        "Checks the task again; with write access it also approves the text.",
        "/ready",
        rule=task_settings.approve_text,
    ),
    TaskCommand("triage", "Sets the priority to P0, P1 or P2.", "/priority P0", rule=task_settings.set_priority),
    TaskCommand("triage", "Adds a required capability.", "/needs python", rule=task_settings.add_capability),
    TaskCommand(
        "triage",
        "Makes the task wait for other issues, in any repository.",
        "/depends #12",
        rule=dependencies.change_dependencies,
        needs=frozenset({Need.REFERENCED_ISSUES}),
        forms={"remove": CommandForm("triage", "Stops waiting for these issues.", "/depends remove #12")},
    ),
    TaskCommand(
        "triage",
        "Puts the task on hold: the bot neither assigns nor merges it.",
        "/block legal has to agree",
        rule=task_settings.block_task,
    ),
    TaskCommand("triage", "Lifts `/block`.", "/unblock", rule=task_settings.unblock_task),
    TaskCommand(
        "triage",
        "Puts the task on hold as `/block` does and stops the clock of the attempt.",
        "/pause",
        rule=task_settings.pause_task,
    ),
    TaskCommand(
        "triage",
        "Lifts `/pause`; the attempt continues with its remaining time.",
        "/resume",
        rule=task_settings.resume_task,
    ),
    TaskCommand("write", "Assigns the task to this agent now.", "/assign codex", rule=maintainer.assign_task),
    TaskCommand(
        "write",
        "Takes the task from its holder and assigns it to another agent.",
        "/reassign claude",
        rule=maintainer.reassign_task,
    ),
    TaskCommand("write", "Starts over and resets the number of attempts.", "/retry", rule=maintainer.retry_task),
    TaskCommand(
        "write",
        "Resolves a conflict by giving the task to another agent.",
        "/resolve reassign",
        rule=maintainer.resolve_conflict,
        needs=frozenset({Need.REFERENCED_TASKS}),
        forms={
            "queue": CommandForm(
                "write",
                "Makes the task wait until the other is done or closed; `/unblock` undoes this.",
                "/resolve queue behind #12",
            ),
            "escalate": CommandForm("write", "Asks a person to decide about the conflict.", "/resolve escalate"),
            "rebase": CommandForm(
                "write",
                "Merges the base into the pull request's branch; if they conflict, the bot tells the agent.",
                "/resolve rebase",
            ),
            "ignore": CommandForm("write", "Ignores the conflict for a day.", "/resolve ignore"),
        },
    ),
    TaskCommand("write", "Calls for a person.", "/escalate the staging server is down", rule=maintainer.call_person),
    TaskCommand("write", "Acknowledges a call for a person: you take it.", "/ack", rule=maintainer.acknowledge_call),
    GlobalCommand(
        "write",
        "Opens a retrospective now, on the tasks done since the last one or since a given time.",
        "/retro since 7d",
        rule=retro.hold_retrospective,
        needs=frozenset({Need.RETROSPECTIVE, Need.RETROSPECTIVE_INPUT}),
        forms={
            "answer": CommandForm(
                "write",
                "Adds the answer of an agent that cannot write to the retrospective itself.",
                "/retro answer codex The fixtures were nowhere described.",
            ),
        },
    ),
)
COMMANDS = {command.name: command for command in _COMMANDS}
