"""The state of a task's own site, asked with JMESPath."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, ValueMatch, Verdict

LONGEST_QUERY = 4096


class State(Evaluator):
    """What ``GET /state`` of the site gives for a JMESPath expression.

    ``expected`` is a JSON value, or a match such as ``{type = "number", value = 3}``.
    Example: ``State(query="cart[?sku=='R1'].quantity | [0]", expected=2)``.
    """

    kind: ClassVar[str] = "state"
    query: str = Field(max_length=LONGEST_QUERY)
    expected: ValueMatch

    @field_validator("query")
    @classmethod
    def _is_one(cls, query: str) -> str:
        try:
            compiled = jmespath.compile(query)
            with suppress(JMESPathError):  # nothing is no state that it need be able to ask
                compiled.search(None)
        except RecursionError:
            raise ValueError(f"{query[:60]!r}… lies too deep inside itself") from None
        except JMESPathError as error:
            raise ValueError(f"{query!r} is no JMESPath expression: {_line(error)}") from None
        return query

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask the site; one that cannot answer has not passed."""
        from webdojo.tasks.sites.episode import SiteStateError

        if evidence.site is None:
            return Verdict(False, "the task has no site of its own, so there is no state to ask")
        try:
            found = jmespath.search(self.query, await evidence.site.state())
        except (SiteStateError, JMESPathError, RecursionError) as error:
            return Verdict(False, f"{self.query}: {_line(error)}")
        reason = self.expected.mismatch(found)
        return Verdict(not reason, reason and f"{self.query}: {reason}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
