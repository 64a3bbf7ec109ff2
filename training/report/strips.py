"""Film strips: the frames of a replayed episode side by side."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence

from webdojo.training.report.figures import count
from webdojo.training.report.films import Film, Frame
from webdojo.training.report.markup import Markup, element, shorten

HEAD, TAIL = 7, 3
"""Frames shown of a long film, from its beginning and from its end."""
ENDINGS = {
    "success": "The task is solved.",
    "failure": "The page judged it wrong.",
    "horizon": "The number of actions ran out.",
    "overflow": "The prompt outgrew the model's context.",
    "deadline": "The time ran out.",
    "unanswered": "The endpoint did not answer.",
    "blocked": "The site would not have the agent.",
    "undecided": "Whoever judges could not be had.",
}


def strips(films: Sequence[Film], note: str = "") -> Markup:
    """The section with every film; ``note`` says why there is none."""
    if not films and not note:
        return Markup()
    return element(
        "section",
        element("h2", "Watch it work"),
        element(
            "p",
            "Episodes of the greedy evaluation, played again in Chromium. Each frame is the page as"
            " it was before the action below it; the outlined element is the action's target.",
            class_="note",
        )
        if films
        else None,
        element("p", note, class_="note") if note else None,
        [_strip(film) for film in films],
    )


def _strip(film: Film) -> Markup:
    episode = film.scene.episode
    frames: list[Markup] = []
    skipped = len(film.frames) - HEAD - TAIL
    for i, frame in enumerate(film.frames):
        if skipped > 1 and HEAD <= i < HEAD + skipped:
            if i == HEAD:
                frames.append(element("li", f"… {count(skipped, 'more step')} …", class_="gap"))
            continue
        frames.append(_frame(film, i, frame))
    verdict = f" Verdict: {shorten(film.verdict, 160)}" if film.verdict else ""
    ending = ENDINGS.get(episode.ending, episode.ending)
    return element(
        "article",
        element(
            "h3",
            element(
                "span", "✓" if episode.success else "✗", class_="good" if episode.success else "bad"
            ),
            f" {film.scene.title}",
        ),
        element(
            "p",
            f"{film.scene.why} ",
            element("code", shorten(episode.task_id, 80)),
            f", seed {episode.seed}, {count(len(episode.actions), 'step')}.",
        ),
        element("p", element("b", "Goal: "), element("q", shorten(episode.goal)), class_="goal"),
        element("ol", frames, class_="strip", tabindex="0") if frames else None,
        element("p", f"Not as recorded: {shorten(film.problem)}.", class_="warning")
        if film.problem
        else None,
        _actions(film) if not frames else None,
        element("p", f"{ending}{verdict}", class_="note"),
        class_="film",
    )


def _frame(film: Film, index: int, frame: Frame) -> Markup:
    width, height = film.size
    last = not frame.action and index == len(film.frames) - 1
    image = element(
        "image",
        href=f"data:image/webp;base64,{b64encode(frame.image).decode()}",
        width=width,
        height=height,
    )
    told = "The page at the end" if last else f"Step {index + 1}: {shorten(frame.action, 120)}"
    return element(
        "li",
        element(
            "svg",
            element("title", told),
            image,
            _outline(frame, width, height),
            viewBox=f"0 0 {width} {height}",
            role="img",
        ),
        element(
            "p",
            element("span", "end" if last else str(index + 1), class_="step"),
            *_words(frame, last),
        ),
        element("p", shorten(frame.error, 200), class_="error") if frame.error else None,
        style=f"width:{_shown_px(width, height)}px",
    )


def _shown_px(width: int, height: int) -> int:
    """Wide pages are shown wider, so that all have about the same area."""
    return round(min(420.0, max(180.0, 230.0 * math.sqrt(width / height))))


def _words(frame: Frame, last: bool) -> list[Markup | str]:
    if last:
        return []
    return [element("code", shorten(frame.action, 160) or "(no action)")]


def _outline(frame: Frame, width: int, height: int) -> Markup | None:
    if frame.target is None:
        return None
    x, y, w, h = frame.target
    left, top = max(1, x - 2), max(1, y - 2)
    right, bottom = min(width - 1, x + w + 2), min(height - 1, y + h + 2)
    if right <= left or bottom <= top:
        return None
    return element(
        "rect", x=left, y=top, width=right - left, height=bottom - top, rx=3, class_="target"
    )


def _actions(film: Film) -> Markup:
    """The recorded actions in words, where there are no pictures."""
    episode = film.scene.episode
    items = [
        element(
            "li",
            element("code", shorten(action, 160) or "(no action)"),
            element("span", f" {shorten(error, 200)}", class_="error") if error else None,
        )
        for action, error in zip(episode.actions, episode.errors, strict=True)
    ]
    return element("ol", items)
