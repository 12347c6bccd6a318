"""The tables, as SQLAlchemy Core sees them. The migrations create them; a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
_timestamp = DateTime(timezone=True)

installations = Table(
    "installations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("suspended", Boolean, nullable=False, server_default=text("false")),
)

# One row per repository. Its lock is what makes one repository have one writer at a time.
repositories = Table(
    "repositories",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("installation_id", BigInteger, nullable=False),
    Column("full_name", Text, nullable=False),
    Column("default_branch", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("config", Text),  # the last good text; null: none yet, so we only observe
    Column("config_sha", Text),  # of the text last read, good or bad
    Column("config_problems", JSONB, nullable=False, server_default=text("'[]'")),
    Column("config_read_at", _timestamp),
    Column("known_labels", JSONB, nullable=False, server_default=text("'[]'")),  # created for people to put on
    Column("codeowners", Text, nullable=False, server_default=text("''")),  # raw; empty where there is none
    Column("templates", JSONB, nullable=False, server_default=text("'[]'")),  # `config.task_templates.TemplateFile`s
    # The tasks of issues up to this number were restored from GitHub: the outbox looks for what it wrote there earlier
    # before it writes. 0 if nothing was restored.
    Column("restored_up_to_issue", Integer, nullable=False, server_default=text("0")),
    # `config.build.rules_of` when every task was last reconciled; empty: unknown.
    Column("policy_fingerprint", Text, nullable=False, server_default=text("''")),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("guid", Text, primary_key=True),
    Column("event", Text, nullable=False),
    Column("action", Text),
    Column("repository_id", BigInteger),
    Column("installation_id", BigInteger),
    Column("payload", LargeBinary, nullable=False),
    Column("received_at", _timestamp, nullable=False),
    Column("handled_at", _timestamp),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    # Deliveries with the same key are handled one after the other (`handlers.lock_key`). One that failed gets a key of
    # its own (`retry_key`), so that it holds up no others.
    Column("ordering_key", Text, nullable=False),
)
Index("deliveries_unhandled", deliveries.c.received_at, postgresql_where=deliveries.c.handled_at.is_(None))
Index(
    "deliveries_in_order",
    deliveries.c.ordering_key,
    deliveries.c.received_at,
    postgresql_where=deliveries.c.handled_at.is_(None),
)

tasks = Table(
    "tasks",
    metadata,
    Column("repository_id", BigInteger, ForeignKey("repositories.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("agent", Text),
    Column("attempt", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("untracked", Boolean, nullable=False),  # the label `task` was taken off
    # The length of the longest chain of tasks that depend on it, from `task_queue.renew_chains`; no view of the state.
    Column("dependents_depth", Integer, nullable=False, server_default=text("0")),
    Column("required_capabilities", JSONB, nullable=False, server_default=text("'[]'")),
    Column("pull_number", Integer),
    Column("head_sha", Text),
    # `overflow`: the queue is full, so the task is not in it; null: the task cannot be assigned now.
    Column("queue_state", Text),  # queued | overflow
    Column("created_at", _timestamp, nullable=False),
    Column("updated_at", _timestamp, nullable=False),
    Column("state", JSONB, nullable=False),  # the whole `core.task.model.Task`; the others are views of it
    PrimaryKeyConstraint("repository_id", "number"),
    CheckConstraint("queue_state IN ('queued', 'overflow')", name="tasks_queue_state"),
)
Index("tasks_by_status", tasks.c.repository_id, tasks.c.status)
# Compared with a literal, not with a parameter, so that a prepared statement can use the index.
in_queue = tasks.c.queue_state == literal_column("'queued'")
Index(
    "tasks_by_queue_state",
    tasks.c.repository_id,
    tasks.c.priority,
    tasks.c.created_at,
    tasks.c.number,
    postgresql_where=tasks.c.queue_state.is_not(None),
)
Index(
    "tasks_in_queue",
    tasks.c.repository_id,
    tasks.c.priority,
    tasks.c.dependents_depth,
    tasks.c.created_at,
    tasks.c.number,
    postgresql_where=in_queue,
)
Index("tasks_by_fingerprint", tasks.c.repository_id, tasks.c.fingerprint)
Index("tasks_by_pull", tasks.c.repository_id, tasks.c.pull_number)
Index("tasks_by_head", tasks.c.repository_id, tasks.c.head_sha)

# Which issue a task depends on: `reference` is `#12` in the same repository, `owner/repo#3` elsewhere. `finished` is
# null if there is no such issue; if the issue is a task, the status of that task takes precedence.
dependencies = Table(
    "dependencies",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reference", Text, nullable=False),
    Column("finished", Boolean),
    Column("source", Text, nullable=False, server_default=text("'text'")),  # `core.task.dependencies.Source`
    PrimaryKeyConstraint("repository_id", "number", "reference"),
)
Index("dependencies_backwards", dependencies.c.repository_id, dependencies.c.reference)

# Pull requests that ever belonged to a task: their news finds the task even when a later attempt holds it.
pulls = Table(
    "pulls",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("task", Integer, nullable=False),
    PrimaryKeyConstraint("repository_id", "number"),
)

# Every pull request that was seen open, by any author, for the comparison of each with the others. `task` is the task
# it belongs or belonged to; the comparison ignores a pull request that its task has replaced. Closed ones stay for a
# while, so that a late webhook does not reopen them.
open_pulls = Table(
    "open_pulls",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("task", Integer),
    Column("title", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("head_sha", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("opened_at", _timestamp, nullable=False),
    Column("updated_at", _timestamp, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("trial_merge", JSONB),  # `core.conflicts.pulls.Trial` of this head; null: not yet
    # Of what our check on this pull request shows, if it belongs to no task.
    Column("check_fingerprint", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("repository_id", "number"),
)

# Two open pull requests that change the same file, and how their last trial merge ended; `low_number` < `high_number`.
pull_pairs = Table(
    "pull_pairs",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("low_number", Integer, nullable=False),
    Column("high_number", Integer, nullable=False),
    Column("low_sha", Text, nullable=False),
    Column("high_sha", Text, nullable=False),
    Column("files", JSONB, nullable=False),  # `core.conflicts.pulls.FileConflict`s; empty: both can be merged
    PrimaryKeyConstraint("repository_id", "low_number", "high_number"),
)

# What we know of each agent besides its configuration. `settings` are those that people gave it while the bot runs.
agents = Table(
    "agents",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("assigned", Integer, nullable=False, server_default=text("0")),  # how often ever: the measure of fairness
    Column("settings", JSONB),
    Column("status", Text),  # draining | removed
    Column("changed_by", Text),
    Column("changed_at", _timestamp),
    Column("backoff_until", _timestamp),  # it takes no work before then, and no agent is to blame
    Column("backoff_reason", Text),
    Column("seen_at", _timestamp),  # its last sign of life on any task
    Column("last_failure_at", _timestamp),  # when it last fell silent; a later sign of life says that it is back
    Column("last_failure_reason", Text),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # since it last handed work in
    PrimaryKeyConstraint("repository_id", "name"),
)

# Circuit breakers, by the kind of adapter (and the service behind it): `http:cursor`, `actions`, …
circuit_breakers = Table(
    "circuit_breakers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("failed_at", _timestamp),
    Column("open_until", _timestamp),  # null: closed; past: half open, the next call is the probe
    Column("probe_at", _timestamp),  # when the probe went out, if one is out
    Column("reason", Text),
)

# What is left of GitHub's rate limits for each credential (`installation:7`), shared by all replicas.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("credential", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", JSONB, nullable=False),  # the whole `core.rate_limits.Budget`
)

# Every attempt, for the measures of agents: how fast, how often well, how long silent.
attempts = Table(
    "attempts",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("task", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("agent", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("capabilities", JSONB, nullable=False),  # that the task asked for
    Column("started_at", _timestamp, nullable=False),
    Column("acknowledged_at", _timestamp),
    Column("pull_opened_at", _timestamp),  # when its pull request was first seen
    Column("ended_at", _timestamp),
    Column("outcome", Text),
    Column("counts_against_agent", Boolean, nullable=False, server_default=text("false")),
    Column("first_checks_passed", Boolean),  # null: no checks have completed
    Column("longest_silence_seconds", Float, nullable=False, server_default=text("0")),  # between two heartbeats
    PrimaryKeyConstraint("repository_id", "task", "attempt"),
)
Index("attempts_of_agent", attempts.c.repository_id, attempts.c.agent, attempts.c.started_at)

# The audit trail. Triggers refuse every UPDATE, DELETE and TRUNCATE.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("repository_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("task", Integer, nullable=False),
    Column("agent", Text),
    Column("attempt", Integer),
    Column("actor", Text),
    Column("payload", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False, server_default=text("'{}'")),  # of the task: field → [was, is]
    Column("occurred_at", _timestamp, nullable=False),
    Column("seq", BigInteger, nullable=False),  # position in the hash chain of its repository, from 1
    Column("hash", Text, nullable=False),  # of the line's content and the hash before it: `core.audit.chain.link`
)
Index("events_in_order", events.c.repository_id, events.c.seq, unique=True)
Index("events_of_task", events.c.repository_id, events.c.task, events.c.id)
Index("events_completed", events.c.repository_id, events.c.id, postgresql_where=text("type = 'task_completed'"))

# Every call for a person, kept for ever. The open one of a task has no `ended_at`, and is a view of the task's state.
escalations = Table(
    "escalations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("repository_id", BigInteger, nullable=False),
    Column("task", Integer, nullable=False),
    Column("key", Text, nullable=False),  # `core.escalation.model.Escalation.key`
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempted", JSONB, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("notified", JSONB, nullable=False),  # everyone so far, in order
    Column("raised_at", _timestamp, nullable=False),  # when the cause arose
    Column("delivered_at", _timestamp),
    Column("next_at", _timestamp),  # of the next call
    Column("acknowledged_at", _timestamp),
    Column("acknowledged_by", Text),
    Column("ended_at", _timestamp),
    Column("resolution", Text),  # fixed | acknowledged | done | closed | another cause
)
Index("escalations_of_task", escalations.c.repository_id, escalations.c.task, escalations.c.raised_at)
Index("escalations_open", escalations.c.raised_at, postgresql_where=escalations.c.ended_at.is_(None))

# The effects that are to be sent. One job at a time sends those of an issue, and one those of a notification channel:
# each row has either an issue number (0: the repository itself) or a channel.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("repository_id", BigInteger, nullable=False),
    Column("issue_number", Integer),
    Column("channel", Text),  # `config.escalation.Channel`, or `git`: work on the mirror
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    # Grows whenever a state effect is replaced; a send counts only for the version it read.
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("state", Text, nullable=False, server_default=text("'pending'")),  # pending | done | dead
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", _timestamp),
    Column("error", Text),
    Column("created_at", _timestamp, nullable=False),
    Column("done_at", _timestamp),
    Column("remote_id", BigInteger),  # of the comment, check run, … that it created
    Column("content_hash", Text),  # of what was last written there, so that the same is not written twice
    UniqueConstraint("repository_id", "key"),
    CheckConstraint("(issue_number IS NULL) <> (channel IS NULL)", name="outbox_issue_or_channel"),
)
Index("outbox_pending", outbox.c.created_at, postgresql_where=text("state <> 'done'"))

# Every retrospective. `number` is that of its issue, once there is one. `last_event_id` is the event of the last task
# that it covers: all tasks that were done up to there are in this one or in an earlier one.
retrospectives = Table(
    "retrospectives",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("number", Integer),
    Column("created_at", _timestamp, nullable=False),
    Column("last_event_id", BigInteger, nullable=False),
    Column("state", JSONB, nullable=False),  # the whole `core.retro.model.Retrospective`
    PrimaryKeyConstraint("repository_id", "key"),
)
Index("retrospectives_by_number", retrospectives.c.repository_id, retrospectives.c.number)

# Comments with commands of people without a role, of the last hour: their number is limited.
stranger_commands = Table(
    "stranger_commands",
    metadata,
    Column("installation_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),  # of the comment
    Column("user_id", BigInteger, nullable=False),
    Column("used_at", _timestamp, nullable=False),
    PrimaryKeyConstraint("installation_id", "key"),
)

# Every deadline: of a task (`target_id` is its number), a dependent task in another repository, an agent (its name), an
# effect (its id in the outbox), a delivery (its GUID), the repository, or the service itself (`repository_id` is 0).
deadlines = Table(
    "deadlines",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("target_kind", Text, nullable=False),  # `core.task.deadlines.TargetKind`
    Column("target_id", Text, nullable=False, server_default=text("''")),
    Column("kind", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),  # of the task; 0: none, or no task
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),  # what else its job needs to know
    Column("due_at", _timestamp, nullable=False),
    PrimaryKeyConstraint("repository_id", "target_kind", "target_id", "kind"),
)
Index("deadlines_due", deadlines.c.due_at)

# Webhooks that GitHub could not deliver, by GUID, with the latest attempt that failed. One that arrived later stays as
# `arrived` for a while, because GitHub's log may be read again.
undelivered_webhooks = Table(
    "undelivered_webhooks",
    metadata,
    Column("guid", Text, primary_key=True),
    Column("delivery_id", BigInteger, nullable=False),  # of the failed attempt: what GitHub is asked to redeliver
    Column("event", Text, nullable=False),
    Column("action", Text),
    Column("status", Text, nullable=False),  # GitHub's text for the failure
    Column("failed_at", _timestamp, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),  # pending | arrived | dead
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # how often we requested a redelivery
    Column("next_attempt_at", _timestamp, nullable=False),
)
Index(
    "undelivered_webhooks_pending",
    undelivered_webhooks.c.next_attempt_at,
    postgresql_where=text("state = 'pending'"),
)

# How far GitHub's log of deliveries was read: one row, or none. It was read completely up to `complete_until`; an
# unfinished scan started at `scan_started_at` and continues at `cursor`.
delivery_log_cursor = Table(
    "delivery_log_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("complete_until", _timestamp),
    Column("read_at", _timestamp),  # when the last scan ended
    Column("scan_started_at", _timestamp),
    Column("cursor", Text),
)
