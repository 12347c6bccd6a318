"""The tables, as SQLAlchemy Core sees them. The migrations create them; a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    Column("labels_made", JSONB, nullable=False, server_default=text("'[]'")),
    Column("codeowners", Text, nullable=False, server_default=text("''")),  # raw; empty where there is none
    Column("templates", JSONB, nullable=False, server_default=text("'[]'")),  # `config.task_templates.TemplateFile`s
    # Our memory of issues and pull requests up to this number was made again from GitHub: what we wrote there before is
    # looked for before it is written. 0 where it was not.
    Column("rebuilt_through", Integer, nullable=False, server_default=text("0")),
    # `config.build.rules_of` when every task was last looked at; empty: not known.
    Column("rules", Text, nullable=False, server_default=text("''")),
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
    Column("tries", Integer, nullable=False, server_default=text("0")),
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
    Column("withdrawn", Boolean, nullable=False),
    # How many tasks the longest chain behind it has; kept by `line.renew_chains`, no view of the state.
    Column("behind", Integer, nullable=False, server_default=text("0")),
    Column("required", JSONB, nullable=False, server_default=text("'[]'")),  # capabilities
    Column("pull_number", Integer),
    Column("head_sha", Text),
    Column("queued", Boolean),  # true: in the line (`Task.in_line`); false: parked before it; null: neither
    Column("created_at", _timestamp, nullable=False),
    Column("updated_at", _timestamp, nullable=False),
    Column("state", JSONB, nullable=False),  # the whole `core.task.model.Task`; the columns above are views of it
    PrimaryKeyConstraint("repository_id", "number"),
)
Index("tasks_by_status", tasks.c.repository_id, tasks.c.status)
Index(
    "tasks_queued",
    tasks.c.repository_id,
    tasks.c.priority,
    tasks.c.created_at,
    tasks.c.number,
    postgresql_where=tasks.c.queued.is_not(None),
)
Index(
    "tasks_in_line",
    tasks.c.repository_id,
    tasks.c.priority,
    tasks.c.behind,
    tasks.c.created_at,
    tasks.c.number,
    postgresql_where=text("queued"),
)
Index("tasks_by_fingerprint", tasks.c.repository_id, tasks.c.fingerprint)
Index("tasks_by_pull", tasks.c.repository_id, tasks.c.pull_number)
Index("tasks_by_head", tasks.c.repository_id, tasks.c.head_sha)

# Who waits for whom: `reference` is `#12` in the same repository, `owner/repo#3` elsewhere. `finished` is null
# where there is no such issue; for a task of ours the task's own status says more, and is asked first.
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

# Every pull request that was seen open, by any author, as it is compared with the others. `task` is whose work it
# is or was; one that its task no longer carries is passed over. Closed ones stay a while: old news revives none.
flights = Table(
    "flights",
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
    Column("trial", JSONB),  # `core.conflicts.pulls.Trial` of this head; null: not yet
    Column("shown", Text, nullable=False, server_default=text("''")),  # by its check, where no task remembers it
    PrimaryKeyConstraint("repository_id", "number"),
)

# Two of them that change the same file, as they were last merged with each other; `one` < `other`.
pairs = Table(
    "pairs",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("one", Integer, nullable=False),
    Column("other", Integer, nullable=False),
    Column("one_sha", Text, nullable=False),
    Column("other_sha", Text, nullable=False),
    Column("files", JSONB, nullable=False),  # `core.conflicts.pulls.FileConflict`s; none: both can be merged
    PrimaryKeyConstraint("repository_id", "one", "other"),
)

# What we know of each agent besides its configuration. `settings` are those that people gave it while the bot runs.
agents = Table(
    "agents",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("assigned", Integer, nullable=False, server_default=text("0")),  # how often ever: the measure of fairness
    Column("settings", JSONB),
    Column("mode", Text),  # draining | removed
    Column("changed_by", Text),
    Column("changed_at", _timestamp),
    Column("cooling_until", _timestamp),  # it takes no work before then, and no agent is to blame
    Column("cooling_reason", Text),
    Column("seen_at", _timestamp),  # its last sign of life on any task
    Column("failed_at", _timestamp),  # when it last fell silent; a later sign of life says that it is back
    Column("failed_reason", Text),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # since it last handed work in
    PrimaryKeyConstraint("repository_id", "name"),
)

# Circuit breakers, by the kind of adapter (and the service behind it): `http:cursor`, `actions`, …
circuits = Table(
    "circuits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("failed_at", _timestamp),
    Column("open_until", _timestamp),  # null: closed; past: half open, the next call is the probe
    Column("probe_at", _timestamp),  # when the probe went out, if one is out
    Column("reason", Text),
)

# What is left of GitHub's limits, by who sends (`installation:7`): one budget for all replicas.
budgets = Table(
    "budgets",
    metadata,
    Column("sender", Text, primary_key=True),
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
    Column("handed_in_at", _timestamp),  # when its pull request was first seen
    Column("ended_at", _timestamp),
    Column("outcome", Text),
    Column("blamed", Boolean, nullable=False, server_default=text("false")),
    Column("first_checks", Boolean),  # whether the first checks that ended passed
    Column("longest_silence", Float, nullable=False, server_default=text("0")),  # seconds between two signs of life
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
    Column("place", BigInteger, nullable=False),  # in the chain of its repository, from 1
    Column("hash", Text, nullable=False),  # of the line's content and the hash before it: `core.audit.chain.link`
)
Index("events_in_order", events.c.repository_id, events.c.place, unique=True)
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
    Column("tried", JSONB, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("called", JSONB, nullable=False),  # everybody, in order
    Column("raised_at", _timestamp, nullable=False),  # when the cause arose
    Column("delivered_at", _timestamp),
    Column("next_at", _timestamp),  # of the next call
    Column("acknowledged_at", _timestamp),
    Column("acknowledged_by", Text),
    Column("ended_at", _timestamp),
    Column("how", Text),  # fixed | acknowledged | done | closed | another cause
)
Index("escalations_of_task", escalations.c.repository_id, escalations.c.task, escalations.c.raised_at)
Index("escalations_open", escalations.c.raised_at, postgresql_where=escalations.c.ended_at.is_(None))

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("repository_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    # Grows whenever a state effect is replaced; a send counts only for the version it read.
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),  # waiting | done | parked
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("not_before", _timestamp),
    Column("error", Text),
    Column("created_at", _timestamp, nullable=False),
    Column("done_at", _timestamp),
    Column("remote_id", BigInteger),  # of the comment, check run, … that it made
    Column("digest", Text),  # of what was last written there, so that the same is not written twice
    UniqueConstraint("repository_id", "key"),
)
Index("outbox_waiting", outbox.c.created_at, postgresql_where=text("state <> 'done'"))

# Every retrospective that was held. `number` is that of its issue, once that is there; tasks that were done up to the
# line `through` of the trail are in this one or an earlier one.
retrospectives = Table(
    "retrospectives",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("number", Integer),
    Column("held_at", _timestamp, nullable=False),
    Column("through", BigInteger, nullable=False),
    Column("state", JSONB, nullable=False),  # the whole `core.retro.model.Retrospective`
    PrimaryKeyConstraint("repository_id", "key"),
)
Index("retrospectives_by_number", retrospectives.c.repository_id, retrospectives.c.number)

# Every wait, of whatever it is: a task's (`task:<number>`), a repository's, a delivery's, an effect's.
deadlines = Table(
    "deadlines",
    metadata,
    Column("repository_id", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("due_at", _timestamp, nullable=False),
    PrimaryKeyConstraint("repository_id", "subject", "kind"),
)
Index("deadlines_due", deadlines.c.due_at)
