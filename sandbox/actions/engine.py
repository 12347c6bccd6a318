"""Start, advance and end workflow runs by the rules of GitHub Actions.

A run has no task of its own. Each job is a task of the hub, and the job that ends last ends the run. A job
that sleeps on the clock (a stalled agent) therefore does not keep the sandbox from being idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.actions import webhooks
from sandbox.actions.expressions import ExpressionError, condition, interpolate
from sandbox.actions.run_job import expression_context, run_job
from sandbox.actions.workflow import PERMISSIONS, JobSpec, WorkflowFile
from sandbox.hub import Hub
from sandbox.state.models import PullRequest, Repository, User, WorkflowJob, WorkflowRun


@dataclass(eq=False, slots=True)
class RunPlan:
    """What the engine needs of a run in progress besides its state."""

    file: WorkflowFile
    specs: dict[int, JobSpec] = field(default_factory=dict)
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    cancelled: bool = False


class Actions:
    """The Actions service of one sandbox."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.plans: dict[int, RunPlan] = {}

    async def start(
        self,
        repository: Repository,
        file: WorkflowFile,
        *,
        event: str,
        actor: User,
        sha: str,
        ref: str,
        title: str,
        payload: dict[str, Any],
        checkout: str | None = None,
        branch: str | None = None,
        pulls: list[PullRequest] | None = None,
        inputs: dict[str, Any] | None = None,
    ) -> WorkflowRun:
        """Create a run and start its first jobs. The caller refuses disabled workflows."""
        workflow = self.hub.workflow_index.workflow(repository, file)
        workflow.runs += 1
        now = self.hub.now()
        run = WorkflowRun(
            id=self.hub.new_id(),
            repository=repository,
            workflow_id=workflow.id,
            path=file.path,
            name=file.name,
            display_title=title,
            number=workflow.runs,
            event=event,
            head_branch=branch or ref.removeprefix("refs/heads/").removeprefix("refs/tags/"),
            head_sha=sha,
            actor=actor,
            triggering_actor=actor,
            created_at=now,
            updated_at=now,
            started_at=now,
            pulls=pulls if pulls is not None else self._open_pulls(repository, sha, event),
            inputs=inputs or {},
            payload=payload,
            ref=ref,
            checkout_sha=checkout or sha,
        )
        if file.run_name is not None:
            try:
                run.display_title = interpolate(file.run_name, expression_context(self.hub, run)) or title
            except ExpressionError as error:
                run.display_title = f"{title} ({error})"
        repository.runs[run.id] = run
        if any(agent.account is actor for agent in self.hub.cloud_agents.values() if agent.mention is None):
            # Nothing runs for an agent that GitHub provides until a person has approved what it pushed.
            self.plans[run.id] = RunPlan(file)
            webhooks.request_run(self.hub, run)
            webhooks.complete_run(self.hub, run, "action_required")
            return run
        await self._start_jobs(run, file, file.jobs)
        return run

    @staticmethod
    def _open_pulls(repository: Repository, sha: str, event: str) -> list[PullRequest]:
        if event != "push":
            return []
        return [pull for pull in repository.pulls() if pull.state == "open" and pull.head_sha == sha]

    # States of a run

    async def _start_jobs(self, run: WorkflowRun, file: WorkflowFile, jobs: tuple[JobSpec, ...]) -> None:
        plan = RunPlan(file)
        self.plans[run.id] = plan
        webhooks.request_run(self.hub, run)
        if file.error is not None:
            webhooks.complete_run(self.hub, run, "failure")
            return
        for spec in jobs:
            job = webhooks.queue_job(self.hub, run, spec)
            plan.specs[job.id] = spec
        self._advance(run)

    def _advance(self, run: WorkflowRun) -> None:
        """Start the jobs whose needs are met, skip those whose needs failed, end the run after the last."""
        plan = self.plans[run.id]
        has_progressed = True
        while has_progressed:
            has_progressed = False
            for job in run.latest_jobs:
                if job.status != "queued" or job.id in plan.tasks or job.id not in plan.specs:
                    continue
                spec = plan.specs[job.id]
                if self.hub.offline_labels.intersection(spec.labels):
                    continue
                dependencies = [
                    dependency for dependency in run.latest_jobs if self._job_key(plan, dependency) in spec.needs
                ]
                if any(dependency.status != "completed" for dependency in dependencies):
                    continue
                if self._is_skipped(run, plan, spec, dependencies):
                    webhooks.complete_job(self.hub, job, "skipped")
                    has_progressed = True
                else:
                    plan.tasks[job.id] = self.hub.spawn(self._run_job(run, job, spec), name=f"job {job.name}")
        if all(job.status == "completed" for job in run.latest_jobs) and run.status != "completed":
            webhooks.complete_run(self.hub, run, self._conclusion(run, plan))

    def start_waiting_jobs(self) -> None:
        """Start the jobs that waited for a runner which is online now."""
        for repository in self.hub.repositories.values():
            for run in list(repository.runs.values()):
                if run.status != "completed" and run.id in self.plans:
                    self._advance(run)

    @staticmethod
    def _job_key(plan: RunPlan, job: WorkflowJob) -> str:
        return plan.specs[job.id].key if job.id in plan.specs else job.name

    def _is_skipped(self, run: WorkflowRun, plan: RunPlan, spec: JobSpec, dependencies: list[WorkflowJob]) -> bool:
        if plan.cancelled:
            return True
        failed = [job for job in dependencies if job.conclusion != "success"]
        context = expression_context(self.hub, run, spec, needs=self._needs(run))
        context["job"] = {"status": "failure" if failed else "success"}
        try:
            return not condition(spec.condition, context)
        except ExpressionError:
            return False  # the job starts and logs the error

    def _permissions(self, run: WorkflowRun, spec: JobSpec) -> Mapping[str, str]:
        """The permissions of the job's token: those of the job or the file, else everything that a run can have."""
        for asked in (spec.permissions, self.plans[run.id].file.permissions):
            if asked is not None:
                return asked
        return dict.fromkeys(PERMISSIONS, "write")

    def _needs(self, run: WorkflowRun) -> dict[str, Any]:
        """The `needs` context: result and outputs of every job that has ended."""
        plan = self.plans[run.id]
        return {
            self._job_key(plan, job): {
                "result": job.conclusion,
                "outputs": plan.outputs.get(self._job_key(plan, job), {}),
            }
            for job in run.latest_jobs
            if job.status == "completed"
        }

    async def _run_job(self, run: WorkflowRun, job: WorkflowJob, spec: JobSpec) -> None:
        plan = self.plans[run.id]
        try:
            webhooks.start_job(self.hub, job)
            conclusion, outputs = await run_job(
                self.hub,
                job,
                spec,
                needs=self._needs(run),
                permissions=self._permissions(run, spec),
                env={**plan.file.env, **spec.env},
            )
            plan.outputs[spec.key] = outputs
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not plan.cancelled or task is None:
                raise  # the sandbox itself is closing
            task.uncancel()
            conclusion = "cancelled"
        webhooks.complete_job(self.hub, job, conclusion)
        self._advance(run)

    @staticmethod
    def _conclusion(run: WorkflowRun, plan: RunPlan) -> str:
        conclusions = {job.conclusion for job in run.latest_jobs}
        if plan.cancelled or "cancelled" in conclusions:
            return "cancelled"
        for failure in ("timed_out", "failure"):
            if failure in conclusions:
                return "failure" if failure == "failure" else "timed_out"
        return "success" if "success" in conclusions else "skipped"

    # Requests of people and Apps

    def cancel(self, run: WorkflowRun) -> bool:
        """Cancel a run; False when it has completed."""
        if run.status == "completed":
            return False
        plan = self.plans[run.id]
        plan.cancelled = True
        for job in run.latest_jobs:
            task = plan.tasks.get(job.id)
            if task is not None and not task.done():
                task.cancel()
            if job.status == "queued":  # it has no task that would complete it
                webhooks.complete_job(self.hub, job, "cancelled")
        self._advance(run)
        return True

    async def rerun(self, run: WorkflowRun, actor: User, *, failed_only: bool = False) -> bool:
        """Run again as the next attempt, perhaps only the jobs that failed; False while it runs."""
        if run.status != "completed":
            return False
        file = self.plans[run.id].file
        passed_names = {job.name for job in run.latest_jobs if job.conclusion == "success"} if failed_only else set()
        passed_jobs = [job for job in run.latest_jobs if job.name in passed_names]
        jobs = tuple(spec for spec in file.jobs if spec.name not in passed_names)
        now = self.hub.now()
        run.attempt += 1
        run.status, run.conclusion = "queued", None
        run.started_at = run.updated_at = now
        run.triggering_actor = actor
        run.jobs.extend(webhooks.copy_job(self.hub, run, job) for job in passed_jobs)
        await self._start_jobs(run, file, jobs)
        return True
