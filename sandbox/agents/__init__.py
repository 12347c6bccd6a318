"""Scripted agents: they take the work that is dispatched and do what a test wrote for them."""

from sandbox.agents.scripted import AgentCrash, AgentWork, JobWork, ScriptedAgent
from sandbox.agents.scripts import Crashes, FinishesWithoutPull, Nonsense, Stalls, WritesFiles

__all__ = [
    "AgentCrash",
    "AgentWork",
    "Crashes",
    "FinishesWithoutPull",
    "JobWork",
    "Nonsense",
    "ScriptedAgent",
    "Stalls",
    "WritesFiles",
]
