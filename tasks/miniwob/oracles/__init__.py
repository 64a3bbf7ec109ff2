"""Scripted solutions, by kind of page."""

from webdojo.tasks.miniwob.oracles import (
    buttons,
    chasing,
    choices,
    dates,
    dragging,
    drawing,
    email,
    flights,
    games,
    hidden,
    marking,
    searching,
    shapes,
    sliders,
    social,
    text,
    timing,
)
from webdojo.tasks.miniwob.oracles.oracle import ORACLES

__all__ = [
    "ORACLES",
    "buttons",
    "chasing",
    "choices",
    "dates",
    "dragging",
    "drawing",
    "email",
    "flights",
    "games",
    "hidden",
    "marking",
    "searching",
    "shapes",
    "sliders",
    "social",
    "text",
    "timing",
]
