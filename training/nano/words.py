"""Texts for generated pages: words, names, pseudo-words, codes, numbers and dates."""

from __future__ import annotations

from pathlib import Path
from random import Random

_FOLDER = Path(__file__).parent
WORDS = (_FOLDER / "words.txt").read_text(encoding="utf-8").split()
NAMES = (_FOLDER / "names.txt").read_text(encoding="utf-8").split()

_ONSETS = (_FOLDER / "onsets.txt").read_text(encoding="utf-8").split()
_VOWELS = ["a", "e", "i", "o", "u", "ae", "ai", "ea", "ia", "ie", "io", "oo", "ou", "y"]
_CODAS = [
    "",
    "",
    "",
    "n",
    "r",
    "s",
    "t",
    "l",
    "m",
    "nd",
    "nt",
    "rd",
    "st",
    "x",
    "ck",
    "ss",
    "tte",
    "lle",
    "que",
]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def pseudo_word(rng: Random) -> str:
    """A pronounceable word of one to four syllables, in lower case."""
    syllables = rng.choices((1, 2, 3, 4), (3, 5, 3, 1))[0]
    parts = [
        rng.choice(_ONSETS) + rng.choice(_VOWELS[:5] if rng.random() < 0.7 else _VOWELS)
        for _ in range(syllables)
    ]
    return "".join(parts) + rng.choice(_CODAS)


def word(rng: Random) -> str:
    """A word in lower case, English about half of the time."""
    return rng.choice(WORDS) if rng.random() < 0.5 else pseudo_word(rng)


def name(rng: Random) -> str:
    """A first name or something that looks like one."""
    return rng.choice(NAMES) if rng.random() < 0.4 else pseudo_word(rng).capitalize()


def code(rng: Random) -> str:
    """A short string of letters and digits, such as a password."""
    alphabet = _LETTERS + _LETTERS.upper() + ("0123456789" if rng.random() < 0.6 else "")
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 8)))


def number(rng: Random) -> str:
    """An integer of one to five digits, sometimes negative, a price or a phone number."""
    kind = rng.random()
    if kind < 0.6:
        return str(rng.randint(0, 10 ** rng.randint(1, 5)) * (-1 if rng.random() < 0.1 else 1))
    if kind < 0.75:
        return f"${rng.randint(1, 999)}.{rng.randint(0, 99):02d}"
    if kind < 0.85:
        return f"{rng.randint(200, 999)}-{rng.randint(200, 999)}-{rng.randint(1000, 9999)}"
    return f"{rng.randint(1, 12):02d}/{rng.randint(1, 28):02d}/{rng.randint(1950, 2030)}"


def phrase(rng: Random, longest: int = 3) -> str:
    """One to ``longest`` words, in one of the usual cases."""
    words = [word(rng) for _ in range(rng.randint(1, longest))]
    style = rng.random()
    if style < 0.35:
        words[0] = words[0].capitalize()
    elif style < 0.6:
        words = [w.capitalize() for w in words]
    elif style < 0.7:
        words = [w.upper() for w in words]
    if rng.random() < 0.08:
        words.append(
            rng.choice(
                (f"#{rng.randint(1, 9)}", str(rng.randint(1, 99)), f"({rng.randint(1, 20)})")
            )
        )
    return " ".join(words) + (rng.choice(".,!?:") if rng.random() < 0.08 else "")


def text(rng: Random) -> str:
    """Anything that an element may be called."""
    kind = rng.random()
    if kind < 0.55:
        return phrase(rng)
    if kind < 0.75:
        return name(rng)
    if kind < 0.92:
        return code(rng)
    return number(rng)


def variant(rng: Random, original: str) -> str:
    """Something that looks nearly like ``original``: one letter or one word differs."""
    words = original.split()
    if len(words) > 1 and rng.random() < 0.6:
        words[rng.randrange(len(words))] = word(rng)
        return " ".join(words)
    position = rng.randrange(len(original))
    return original[:position] + rng.choice(_LETTERS) + original[position + rng.randint(0, 1) :]


def sentence(rng: Random) -> str:
    """Filler: three to eight words."""
    words = [word(rng) for _ in range(rng.randint(2, 8))]
    return " ".join(words).capitalize() + rng.choice([".", "", ","])
