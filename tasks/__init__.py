"""Tasks, suites, splits and evaluators: what is to be done."""

from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Oracle, Outcome, Task

__all__ = ["Oracle", "Outcome", "Task", "UserError"]
