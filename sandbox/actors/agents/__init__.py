"""Scripted agents, which work as a test has written."""

from sandbox.actors.agents.cloud import COPILOT_ID, COPILOT_LOGIN, CloudAgent, CloudWork, WorksInDraft
from sandbox.actors.agents.scripted import AgentCrash, AgentWork, JobWork, ScriptedAgent
from sandbox.actors.agents.scripts import (
    Crashes,
    FinishesWithoutPull,
    Plans,
    RandomOutput,
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
    "ScriptedAgent",
    "Stalls",
    "WorksInDraft",
    "WritesFiles",
]
