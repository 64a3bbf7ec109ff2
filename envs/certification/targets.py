"""Whether agents are shown what oracles act on."""

from __future__ import annotations

from collections.abc import Mapping

from webdojo.envs.actions import ActionError, parse_action
from webdojo.tasks.view import Box, PageView


def targets_kept(action_text: str, boxes: Mapping[str, Box], pruned_html: str) -> list[bool]:
    """For each element that an action is about, whether the pruned page shows it.

    A point is about the smallest element there that can be acted on; where there is none, the
    action draws on the page and has no target. What is no action has none either.
    """
    try:
        action = parse_action(action_text)
    except ActionError:
        return []
    bids = [
        str(action.arguments[name])
        for name in ("bid", "from_bid", "to_bid")
        if name in action.arguments
    ]
    for x, y in (("x", "y"), ("from_x", "from_y"), ("to_x", "to_y")):
        if x in action.arguments:
            bid = _element_at(boxes, action.arguments[x], action.arguments[y])
            bids.extend([bid] if bid else [])
    shown = PageView(goal="", html=pruned_html)
    return [bool(shown.all(bid=bid)) for bid in bids]


def _element_at(boxes: Mapping[str, Box], x: float, y: float) -> str:
    hits = [
        (width * height, bid)
        for bid, (left, top, width, height) in boxes.items()
        if left <= x < left + width and top <= y < top + height
    ]
    return min(hits)[1] if hits else ""
