"""Evaluators: how it is decided whether an episode succeeded."""

from webdojo.tasks.evaluators.combining import AllOf, AnyOf
from webdojo.tasks.evaluators.currency import Currency
from webdojo.tasks.evaluators.database import Database
from webdojo.tasks.evaluators.dates import Date
from webdojo.tasks.evaluators.dom import Dom
from webdojo.tasks.evaluators.evaluated_task import EvaluatedTask
from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Match, Verdict, parse_evaluator
from webdojo.tasks.evaluators.lists import ListOf
from webdojo.tasks.evaluators.network import Request
from webdojo.tasks.evaluators.numbers import Number
from webdojo.tasks.evaluators.python import Python, condition
from webdojo.tasks.evaluators.recording import Recorder
from webdojo.tasks.evaluators.rubric import Rubric
from webdojo.tasks.evaluators.state import State
from webdojo.tasks.evaluators.strings import Contains, Exact, Text
from webdojo.tasks.evaluators.urls import PageUrl, Url
from webdojo.tasks.evaluators.values import Equals, Includes

__all__ = [
    "AllOf",
    "AnyOf",
    "Contains",
    "Currency",
    "Database",
    "Date",
    "Dom",
    "Equals",
    "EvaluatedTask",
    "Evaluator",
    "Evidence",
    "Exact",
    "Includes",
    "ListOf",
    "Match",
    "Number",
    "PageUrl",
    "Python",
    "Recorder",
    "Request",
    "Rubric",
    "State",
    "Text",
    "Url",
    "Verdict",
    "condition",
    "parse_evaluator",
]
