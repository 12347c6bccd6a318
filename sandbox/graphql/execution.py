"""A part of GitHub's GraphQL API: repositories with their issues and pull requests.

Real queries run: fields, aliases, arguments, variables, fragments, connections with `first` and `after`. What GitHub
has and this has not is answered with GitHub's own error for an unknown field, never with a guess. Mutations:
markPullRequestReadyForReview, createLabel, updateIssue (its labels), addComment, updateIssueComment, createCheckRun,
updateCheckRun.

`Query`: viewer, rateLimit, repository(owner, name), node(id). `Repository`: issue, issues, pullRequest, pullRequests,
labels, issueOrPullRequest, defaultBranchRef, refs. `Issue`: labels, assignees, comments, blockedBy, blocking,
subIssues, parent, closedByPullRequestsReferences, timelineItems (labels, closing, reopening, new titles).
`PullRequest`: baseRef, mergeCommit, statusCheckRollup. A query costs what GitHub would count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.errors import ApiError
from sandbox.graphql.cost import cost
from sandbox.graphql.parser import Document, Field, GraphQLError, Variable, parse
from sandbox.graphql.parts import Arguments, Plain
from sandbox.graphql.schema import TYPES, kind_of
from sandbox.hub import Hub
from sandbox.state.credentials import Credential

Json = dict[str, Any]


class Execution:
    """One query being answered."""

    def __init__(self, hub: Hub, credential: Credential, document: Document, variables: Arguments) -> None:
        self.hub: Hub = hub
        self.credential = credential
        self.errors: list[Json] = []
        self.cost = 1  # in points
        self._document, self._variables = document, variables

    def select(self, kind: str, value: Any, fields: Sequence[Field], path: tuple[str | int, ...]) -> Json:
        """The fields of one object."""
        made: Json = {}
        for one in fields:
            if one.spread is not None or one.on is not None:
                fragment = one if one.spread is None else self._document.fragments.get(one.spread)
                if fragment is None:
                    raise GraphQLError(f"Fragment {one.spread} was used, but not defined")
                if fragment.on in (kind, "Node", "Actor", "Assignable", "Labelable"):
                    made |= self.select(kind, value, fragment.fields, path)
                continue
            made[one.alias] = self._field(kind, value, one, (*path, one.alias))
        return made

    def _field(self, kind: str, value: Any, one: Field, path: tuple[str | int, ...]) -> Any:
        if one.name == "__typename":
            return kind
        resolver = TYPES[kind].get(one.name)
        if resolver is None:
            raise GraphQLError(f"Field '{one.name}' doesn't exist on type '{kind}'", kind="undefinedField")
        arguments = {key: self.filled(given) for key, given in one.arguments.items()}
        try:
            return self._shown(resolver(self, value, arguments), one, path)
        except LookupError as error:
            self.errors.append({"type": "NOT_FOUND", "path": list(path), "message": str(error.args[0])})
            return None
        except ApiError as error:  # what REST would refuse, too
            self.errors.append({"type": "UNPROCESSABLE", "path": list(path), "message": str(error.body["message"])})
            return None

    def _shown(self, value: Any, one: Field, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, list):
            return [self._shown(item, one, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, Plain):
            return self._plain(value, one)
        kind = kind_of(value)
        if kind is None:
            if one.fields:
                if value is None:
                    return None
                raise GraphQLError(f"Field '{one.name}' has no fields of its own")
            return value
        if not one.fields:
            raise GraphQLError(f"Field '{one.name}' returns {kind} but has no selections")
        return self.select(kind, value, one.fields, path)

    def _plain(self, value: Plain, one: Field) -> Json:
        for wanted in one.fields:
            if wanted.name not in value.values:
                message = f"Field '{wanted.name}' doesn't exist on type '{value.kind}'"
                raise GraphQLError(message, kind="undefinedField")
        return {wanted.alias: value.values[wanted.name] for wanted in one.fields}

    def filled(self, value: Any) -> Any:
        """A value with its variables filled in."""
        if isinstance(value, Variable):
            if value.name not in self._variables:
                raise GraphQLError(f"Variable ${value.name} is used but not declared")
            return self._variables[value.name]
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        return value


def execute(hub: Hub, credential: Credential, source: str, name: str | None, variables: Arguments) -> Json:
    """Answer a query: `data`, and `errors` where something could not be answered."""
    try:
        document = parse(source)
        operation = document.operation(name)
        run = Execution(hub, credential, document, {**operation.variables, **variables})
        run.cost = cost(document, operation.fields, run.filled)
        # One was counted when it came in.
        bucket = hub.usage_counter.bucket(credential.rate_limit_key, "graphql", hub.now())
        bucket.used += run.cost - 1
        data = run.select(operation.kind.capitalize(), None, operation.fields, ())
    except GraphQLError as error:
        problem: Json = {"message": str(error)}
        if error.kind is not None:
            problem["extensions"] = {"code": error.kind}
        return {"errors": [problem]}
    return {"data": data} | ({"errors": run.errors} if run.errors else {})
