"""Calls checks and statuses of a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from adapters.github.base_client import BaseClient, body_params, query_params, repository_parts
from adapters.github.models import CheckRun, CheckSuite, CombinedStatus
from adapters.github.operation import operation

CheckStatus = Literal["queued", "in_progress", "completed"]
CheckConclusion = Literal["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"]

_COMMIT: Final = "/repos/{owner}/{repo}/commits/{ref}"
_RUNS: Final = "/repos/{owner}/{repo}/check-runs"
_BODY: Final = "status conclusion output actions"

LIST_RUNS: Final = operation(
    "checks/list-for-ref",
    "GET",
    _COMMIT + "/check-runs",
    permission=("checks", "read"),
    query="check_name filter per_page",
    items="check_runs",
)
LIST_SUITES: Final = operation(
    "checks/list-suites-for-ref",
    "GET",
    _COMMIT + "/check-suites",
    permission=("checks", "read"),
    query="per_page",
    items="check_suites",
)
COMBINED: Final = operation(
    "repos/get-combined-status-for-ref",
    "GET",
    _COMMIT + "/status",
    permission=("statuses", "read"),
    query="per_page",
)
CREATE: Final = operation(
    "checks/create", "POST", _RUNS, permission=("checks", "write"), body=_BODY + " name head_sha external_id"
)
UPDATE: Final = operation(
    "checks/update", "PATCH", _RUNS + "/{check_run_id}", permission=("checks", "write"), body=_BODY
)


class CheckOperations(BaseClient):
    """Checks. `ref` is a SHA, a branch or a tag."""

    async def list_check_runs(self, repo: str, ref: str, *, name: str | None = None) -> list[CheckRun]:
        """List the check runs of a commit without those that a newer run of the same name replaced."""
        query = query_params(check_name=name, filter="latest")
        return await self._request_all(LIST_RUNS, CheckRun, {**repository_parts(repo), "ref": ref}, query)

    async def list_check_suites(self, repo: str, ref: str) -> list[CheckSuite]:
        """List the check suites of a commit, one for each App."""
        return await self._request_all(LIST_SUITES, CheckSuite, {**repository_parts(repo), "ref": ref})

    async def get_combined_status(self, repo: str, ref: str) -> CombinedStatus:
        """Return the commit statuses, the latest of each context (the first 100)."""
        return await self._request_one(
            COMBINED, CombinedStatus, {**repository_parts(repo), "ref": ref}, query={"per_page": 100}
        )

    async def create_check_run(
        self,
        repo: str,
        *,
        name: str,
        head_sha: str,
        status: CheckStatus | None = None,
        conclusion: CheckConclusion | None = None,
        external_id: str | None = None,
        output: Mapping[str, object] | None = None,
        actions: Sequence[Mapping[str, str]] | None = None,
    ) -> CheckRun:
        """Create a check run; `output` has title, summary and possibly text and annotations (≤ 50 a call)."""
        body = body_params(
            name=name,
            head_sha=head_sha,
            external_id=external_id,
            **_check_body(status, conclusion, output, actions),
        )
        return await self._request_one(CREATE, CheckRun, repository_parts(repo), body=body)

    async def update_check_run(
        self,
        repo: str,
        check_run_id: int,
        *,
        status: CheckStatus | None = None,
        conclusion: CheckConclusion | None = None,
        output: Mapping[str, object] | None = None,
        actions: Sequence[Mapping[str, str]] | None = None,
    ) -> CheckRun:
        """Change what is given of a check run; annotations are added to those it has."""
        body = _check_body(status, conclusion, output, actions)
        values = {**repository_parts(repo), "check_run_id": check_run_id}
        return await self._request_one(UPDATE, CheckRun, values, body=body)


def _check_body(
    status: str | None,
    conclusion: str | None,
    output: Mapping[str, object] | None,
    actions: Sequence[Mapping[str, str]] | None,
) -> dict[str, object]:
    return body_params(
        status=status,
        conclusion=conclusion,
        output=None if output is None else dict(output),
        actions=None if actions is None else [dict(action) for action in actions],
    )
