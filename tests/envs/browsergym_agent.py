"""An agent of BrowserGym's, on its own functions: run with the Python of .venv-browsergym.

    .venv-browsergym/bin/python browsergym_agent.py

Reads one observation a line, as JSON with the screenshot's pixels as nested lists, and writes one
action a line, checked by BrowserGym's own action set.
"""

import json
import re
import sys

import numpy as np
from browsergym.core.action.highlevel import HighLevelActionSet
from browsergym.utils.obs import (
    flatten_axtree_to_str,
    flatten_dom_to_str,
    overlay_som,
    prune_html,
)

ACTIONS = HighLevelActionSet(["chat", "infeas", "bid", "nav"])


def act(observation: dict) -> tuple[str, dict]:
    """Choose by what the flattened trees say alone."""
    properties = observation["extra_element_properties"]
    tree = flatten_axtree_to_str(
        observation["axtree_object"],
        extra_properties=properties,
        with_visible=True,
        with_clickable=True,
        filter_visible_only=True,
    )
    html = prune_html(
        flatten_dom_to_str(
            observation["dom_object"],
            extra_properties=properties,
            with_center_coords=True,
            filter_visible_only=True,
        )
    )
    goal = observation["goal_object"][0]["text"]
    assert goal == observation["goal"] == observation["chat_messages"][0]["message"]
    told = {"axtree": tree, "html": html}
    if "screenshot" in observation:
        screenshot = np.array(observation["screenshot"], dtype=np.uint8)
        told["marked"] = bool((overlay_som(screenshot, properties) != screenshot).any())
    return choose(goal, tree), told


def choose(goal: str, tree: str) -> str:
    """Log in, step by step, or press the button that the goal names."""
    wanted = re.findall(r'"([^"]*)"', goal)
    logs_in = "password" in goal
    boxes = re.findall(r"\[(\d+)\] textbox '.*?'(?: value='(.*?)')?(?:,|$)", tree, re.M)
    for text, (bid, value) in zip(wanted if logs_in else [], boxes, strict=False):
        if len(value) != len(text):
            return f"fill({bid!r}, {text!r})"
    name = "Login" if logs_in else " ".join(wanted[:1])
    found = re.search(rf"\[(\d+)\] button {re.escape(repr(name))}", tree)
    return f"click({found[1]!r})" if found else 'report_infeasible("there is no such button")'


for line in sys.stdin:
    action, told = act(json.loads(line))
    ACTIONS.to_python_code(action)  # raises if it is not one of BrowserGym's actions
    print(json.dumps({"action": action, **told}), flush=True)
