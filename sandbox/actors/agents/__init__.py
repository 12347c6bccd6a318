"""Scripted agents: they take the work that is dispatched and do what a test wrote for them."""

from sandbox.actors.agents.cloud import COPILOT_ID, COPILOT_LOGIN, CloudAgent, CloudWork, WorksInDraft
from sandbox.actors.agents.scripted import AgentCrash, AgentWork, JobWork, ScriptedAgent
from sandbox.actors.agents.scripts import (
    Crashes,
    FinishesWithoutPull,
    Plans,
    RandomOutput,
    Reviews,
    Stalls,
    WritesFiles,
)

__all__ = [
    "COPILOT_ID",
    "COPILOT_LOGIN",
    "AgentCrash",
    "AgentWork",
    "CloudAgent",
    "CloudWork",
    "Crashes",
    "FinishesWithoutPull",
    "JobWork",
    "Plans",
    "RandomOutput",
    "Reviews",
    "ScriptedAgent",
    "Stalls",
    "WorksInDraft",
    "WritesFiles",
]
