"""Text: letter by letter, as a reader sees it, or somewhere in a longer one."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from webdojo.tasks.evaluators.candidates import one_of_several
from webdojo.tasks.evaluators.claims import excluded, hedged, signed_away
from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import LONGEST, as_text, mixed_words, plain, shown, visible


class Exact(Match):
    """Exactly this text, letter by letter.

    Example: ``Exact(value="SKU-0042")``.
    """

    kind: ClassVar[str] = "exact"
    value: str

    @field_validator("value")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_empty(value)

    def mismatch(self, found: object) -> str:
        """Any difference at all."""
        return "" if found == self.value else f"{shown(found)} is not exactly {self.value!r}"


class Text(Match):
    """The text but for case, spaces, quotes around it, the final stop, and look-alike forms.

    The whole text must match: a longer answer that holds it does not.
    Example: ``Text(value="red mug", alternatives=("mug, red",))``.
    """

    kind: ClassVar[str] = "text"
    value: str
    alternatives: tuple[str, ...] = ()

    @field_validator("value")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_empty(value)

    @field_validator("alternatives")
    @classmethod
    def _all_say_something(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_not_empty, values))

    def mismatch(self, found: object) -> str:
        """A difference that a reader would notice."""
        text = as_text(found)
        if text is None:
            return f"{shown(found)} is no text of at most {LONGEST} characters"
        if plain(text) in {plain(value) for value in (self.value, *self.alternatives)}:
            return ""
        return f"{shown(text)} is not {self.value!r}"


class Contains(Match):
    """The text as whole words in one not much longer, which names none of ``but_not``.

    This is containment. An answer that lists candidates holds the right one too: "red, blue,
    green" matches. Name the other candidates in ``but_not``, and keep ``max_characters`` near the
    length of an honest answer. With ``not_listed`` an answer in which the text is one of several
    does not match, and neither does a plain one with particulars of the same form ("Boston,
    Massachusetts, United States").

    An answer must not take back what it holds: where the text stands in a sentence with a negation
    ("I did not find the red mug"), a choice ("the red mug or the blue one", "red mug/blue mug"), a
    supposition ("it might be the red mug", "if …"), a sign ("¬ red mug", "~~red mug~~") or a
    question, the answer does not match. A page's text, in ``Dom`` say, may hold such words. A text
    with a word of letters from two alphabets (``nоt``, with a Cyrillic о) matches nowhere.
    No rule sees what is denied in another sentence or in other words ("the red mug is missing"),
    nor, even with ``not_listed``, candidates that are told in sentences, without marks, or two by a
    comma ("red, blue"; so is "Paris, France"), unless ``but_not`` names them: where that matters,
    ask for the text alone and compare it with ``Text`` or ``Exact``, or let a judge decide
    (``Rubric``).
    """

    kind: ClassVar[str] = "contains"
    value: str
    but_not: tuple[str, ...] = ()
    max_characters: int = Field(200, gt=0, le=LONGEST)
    not_listed: bool = False
    """Whether the answer must not list the text among others."""

    @field_validator("value")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_empty(value)

    @field_validator("but_not")
    @classmethod
    def _all_say_something(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_not_empty, values))

    @model_validator(mode="after")
    def _fits(self) -> Contains:
        if len(plain(self.value)) > self.max_characters:
            raise ValueError(
                f"max_characters is {self.max_characters}, and value alone is longer: nothing can"
                " match; give more"
            )
        if same := [other for other in self.but_not if _names(plain(self.value), other)]:
            raise ValueError(
                f"but_not: {same[0]!r} is in value {self.value!r} itself, so nothing can match;"
                " name the others alone"
            )
        return self

    def mismatch(self, found: object) -> str:
        """The text is not there, too much else is, or another candidate is named."""
        text = as_text(found)
        if text is None or len(text) > self.max_characters:
            return f"{shown(found)} is no text of at most {self.max_characters} characters"
        words = plain(text)
        if not _holds(words, self.value):
            return f"{shown(text)} does not hold {self.value!r}"
        if mixed := sorted({*mixed_words(visible(text))} - {*mixed_words(visible(self.value))}):
            return f"{shown(text)} holds {mixed[0]!r}, of letters from two alphabets"
        named = [other for other in self.but_not if _names(words, other)]
        return f"{shown(text)} also names {named[0]!r}" if named else ""

    def hedges(self, answer: str) -> str:
        """A sentence that holds the text and denies it, leaves a choice or asks; or such a list."""
        for sentence in map(plain, _SENTENCES.split(answer)):
            place = _place(sentence, self.value)
            if place is not None:
                before, after = sentence[: place.start()], sentence[place.end() :]
                if (
                    reason := hedged(f"{before}…{after}")
                    or excluded(before)
                    or _parted(before, after)
                    or signed_away(before, after)
                ):
                    return f"{shown(sentence)}: {reason}"
        others = one_of_several(answer, self.value) if self.not_listed else ""
        return f"{shown(answer)} lists {others} beside {self.value!r}" if others else ""


def _parted(before: str, after: str) -> str:
    """Why a text is one of several that a stroke parts; empty if it is not."""
    found = re.search(r"[/|\\]\s*$", before) or re.search(r"^\s*[/|\\]", after)
    return f"{found.group().strip()!r} leaves a choice" if found else ""


_SENTENCES = re.compile(r"[;\n\r]|(?<=[.?])\s|(?<=[^\s!]!)\s")


def _holds(text: str, words: str) -> bool:
    return _place(text, words) is not None


def _names(text: str, other: str) -> bool:
    """Whether a text holds another candidate, spelled out or parted as well: ``B-o-b``."""
    if _holds(text, other):
        return True
    letters = re.sub(r"[\s'-]", "", plain(other))
    if not letters.isalnum():
        return False
    spelled = r"[\W_]{0,3}".join(letters)
    return re.search(rf"(?<![^\W_]){spelled}(?![^\W_])", text) is not None


def _place(text: str, words: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(plain(words))}(?!\w)", text)


def _not_empty(value: str) -> str:
    if not plain(value):
        raise ValueError("must hold something that can be read: an empty answer would match")
    return value
