"""The state of an SQLite database, asked in SQL, without a way to change it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, ValueMatch, Verdict
from webdojo.tasks.evaluators.normalise import shown

MOST_ROWS = 10_000
LONGEST_VALUE = 1 << 20
"""Bytes of a text or blob, and of the query itself."""
LONGEST_PATTERN = 1_000
_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


class Database(Evaluator):
    """What one SELECT gives.

    ``path`` lies in the folder of the site's episode unless it is absolute. A result of one row and
    one column counts as its value, any other as a list of rows. ``?`` stands for ``parameters``.
    More than ``MOST_ROWS`` rows match nothing.
    Example: ``Database(path="shop.db", query="select count(*) from orders", expected=1)``.
    """

    kind: ClassVar[str] = "database"
    path: str = Field(min_length=1)
    query: str
    parameters: tuple[Any, ...] = ()
    expected: ValueMatch
    limit_s: float = Field(2.0, gt=0, le=60)
    """Time after which the query is stopped, and has not passed."""

    @field_validator("parameters")
    @classmethod
    def _can_be_bound(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for value in values:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise ValueError(f"{shown(value)} is beyond SQLite's integers, of 64 bits")
            if not isinstance(value, str | int | float | bytes | None):
                raise ValueError(f"{shown(value)} is no text, number or null")
        return values

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        if not _COMMENTS.sub("", query, count=1).lower().startswith(("select", "with", "values")):
            raise ValueError(f"only a single SELECT may be asked; this is {query[:60]!r}")
        if "\0" in query:
            raise ValueError("a query holds no NUL")
        return query

    @property
    def needs_site(self) -> str:
        """A folder, unless the path is a whole one."""
        if Path(self.path).is_absolute():
            return ""
        return f"looks for {shown(self.path)} in the folder of the task's own site"

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask the database; what cannot be asked has not passed."""
        folder = Path() if evidence.site is None else evidence.site.folder
        path = folder / self.path
        if not path.is_absolute():
            return Verdict(False, f"{self.path}: the task has no site; give the whole path")
        try:
            found = await asyncio.to_thread(self._ask, path)
        except sqlite3.Error as error:
            told = "took too long" if "interrupted" in str(error) else str(error)
            return Verdict(False, f"{self.query[:80]}: {told}")
        except (ValueError, OSError) as error:  # the path is no file's, or there are many rows
            return Verdict(False, f"{self.path[:80]!r}: {error}")
        reason = self.expected.mismatch(found)
        return Verdict(not reason, reason and f"{self.query[:80]}: {reason}")

    def _ask(self, path: Path) -> object:
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=self.limit_s)) as connection:
            ends = time.monotonic() + self.limit_s
            connection.set_progress_handler(lambda: int(time.monotonic() > ends), 1000)
            # Nor does what one function makes grow past all bounds before that is asked.
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN)
            connection.set_authorizer(_authorise)
            cursor = connection.execute(self.query, self.parameters)
            rows = [list(row) for row in cursor.fetchmany(MOST_ROWS + 1)]
        if len(rows) > MOST_ROWS:
            raise ValueError(
                f"more than {MOST_ROWS:,} rows are found; ask for fewer, or count them"
            )
        return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
