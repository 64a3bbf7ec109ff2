"""Certification: showing in a real browser that a task can be done, and only by doing it."""

from webdojo.envs.certification.certify import Effort, certify
from webdojo.envs.certification.oracle import OracleRun, play_oracle, play_oracles
from webdojo.envs.certification.report import TaskReport

__all__ = ["Effort", "OracleRun", "TaskReport", "certify", "play_oracle", "play_oracles"]
