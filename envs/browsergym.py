"""The observation dictionary of ``browsergym.core``, for agents that were written for BrowserGym.

    env = BrowserGymEnv(gymnasium.make("webdojo/miniwob.click-button-v0"))
    observation, info = env.reset(seed=1)
    text = flatten_axtree_to_str(observation["axtree_object"])    # BrowserGym's own function

The trees are made from the same look at the page as every other form: no round trip is added. They
hold what that look holds, so ``axtree_object`` is what is shown of the page, and ``dom_object`` has
the attributes that tell something, live form values among them.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces

from webdojo.envs.actions import ActionError, parse_action
from webdojo.envs.axtree import name_of, role_of
from webdojo.envs.gym_env import WebDojoEnv
from webdojo.envs.observation import Observation
from webdojo.envs.shown_tree import prune
from webdojo.envs.snapshot import Node
from webdojo.tasks.errors import UserError
from webdojo.tasks.view import Box

MESSAGES = {"send_msg_to_user": "assistant", "report_infeasible": "infeasible"}
"""Verbs that say something in the chat, and in which role."""
SEEN = 0.5
"""Share of an element in view from which BrowserGym counts it as visible."""
ELEMENT, TEXT, DOCUMENT = 1, 3, 9
"""Types of DOM nodes."""


class Anything(spaces.Space[Any]):
    """Holds every value: trees and messages have no fixed shape."""

    def contains(self, x: Any) -> bool:
        """Whether it is a value, which it is."""
        return True

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """An empty object."""
        return {}

    @property
    def is_np_flattenable(self) -> bool:
        """Trees have no array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything)

    def __hash__(self) -> int:
        return hash(Anything)


class BrowserGymEnv(gymnasium.Wrapper[dict[str, Any], str, dict[str, Any], str]):
    """A WebDojo environment that shows what BrowserGym's would.

    Keys: ``chat_messages``, ``goal``, ``goal_object``, ``open_pages_urls``, ``open_pages_titles``,
    ``active_page_index``, ``url``, ``screenshot`` (unless turned off), ``dom_object``,
    ``axtree_object``, ``extra_element_properties``, ``focused_element_bid``, ``last_action``,
    ``last_action_error``, ``elapsed_time``. Times are page time in seconds. A remote environment
    has to be made with ``tree=True``.
    """

    def __init__(self, env: gymnasium.Env[dict[str, Any], str]) -> None:
        super().__init__(env)
        if not isinstance(env.unwrapped, WebDojoEnv):
            raise UserError(f"{env} is no WebDojo environment, and nothing else can be adapted")
        self._webdojo = env.unwrapped
        inner = env.observation_space
        assert isinstance(inner, spaces.Dict)
        made = ("chat_messages", "goal_object", *_TREES)
        kept = {key: space for key, space in inner.items() if key in _KEPT}
        self.observation_space = spaces.Dict({**kept, **{key: Anything() for key in made}})
        self._messages: list[dict[str, Any]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode; the goal is the user's first message."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._messages = []
        self._say("user", observation["goal"], 0.0)
        return self._adapted(observation), {**info, "task_info": {}}

    def step(self, action: str) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Do one action, in the vocabulary that is BrowserGym's too."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._hear(action, observation)
        told = {"task_info": {}, "action_exec_timeout": 0}
        return self._adapted(observation), reward, terminated, truncated, {**info, **told}

    def _hear(self, action: str, observation: dict[str, Any]) -> None:
        if observation["last_action_error"]:
            return
        try:
            call = parse_action(action)
        except ActionError:
            return
        if call.name in MESSAGES:
            (message, *_) = call.arguments.values()
            self._say(MESSAGES[call.name], str(message), float(observation["elapsed_time"][0]))

    def _say(self, role: str, message: str, at_s: float) -> None:
        self._messages.append({"role": role, "timestamp": at_s, "message": message})

    def _adapted(self, observation: dict[str, Any]) -> dict[str, Any]:
        seen = self._webdojo.last_observation
        if seen.tree is None and self._webdojo.is_remote:
            raise UserError("the server sends no trees unless asked: make it with tree=True")
        return {
            **{key: value for key, value in observation.items() if key in _KEPT},
            "chat_messages": tuple(map(dict, self._messages)),
            "goal_object": ({"type": "text", "text": observation["goal"]},),
            "dom_object": dom_object(seen),
            "axtree_object": axtree_object(seen),
            "extra_element_properties": element_properties(seen),
        }


_TREES = ("dom_object", "axtree_object", "extra_element_properties")
_KEPT = frozenset(
    (
        *("goal", "url", "open_pages_urls", "open_pages_titles", "active_page_index"),
        *("screenshot", "focused_element_bid", "last_action", "last_action_error", "elapsed_time"),
    )
)


def element_properties(seen: Observation) -> dict[str, dict[str, Any]]:
    """For each bid: share in view, box in CSS pixels, whether it can be clicked and is marked."""
    found: dict[str, dict[str, Any]] = {}
    for node in seen.tree.walk() if seen.tree else ():
        if node.bid:
            share = _share_in_view(node.box, seen.viewport) if node.visible else 0.0
            found[node.bid] = {
                "visibility": share,
                "bbox": [float(side) for side in node.box] if node.visible else None,
                "clickable": node.actionable,
                "set_of_marks": node.actionable and share >= SEEN,
            }
    return found


def _share_in_view(box: Box, viewport: tuple[int, int]) -> float:
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return 0.0
    across = max(0, min(x + width, viewport[0]) - max(x, 0))
    down = max(0, min(y + height, viewport[1]) - max(y, 0))
    return across * down / (width * height)


def dom_object(seen: Observation) -> dict[str, Any]:
    """The page as Chromium's ``DOMSnapshot.captureSnapshot`` would give it; frames lie inline."""
    return _DomSnapshot(seen).whole


class _DomSnapshot:
    """Nodes in columns, and each text once in a table of strings."""

    def __init__(self, seen: Observation) -> None:
        self._places: dict[str, int] = {}
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("parentIndex", "nodeType", "nodeName", "nodeValue", "attributes")
        }
        self._clickable: list[int] = []
        self._layout: dict[str, list[Any]] = {
            name: [] for name in ("nodeIndex", "bounds", "clientRects", "text")
        }
        root = self._add(-1, DOCUMENT, "#document", "", [])
        if seen.tree is not None:
            self._add_element(seen.tree, root)
        count = len(self._columns["nodeType"])
        document = {
            "documentURL": self._place(seen.url),
            "title": self._place(seen.title),
            "scrollOffsetX": 0,
            "scrollOffsetY": 0,
            "nodes": {
                **self._columns,
                "backendNodeId": list(range(1, count + 1)),
                "isClickable": {"index": self._clickable},
                "contentDocumentIndex": {"index": [], "value": []},
            },
            "layout": self._layout,
        }
        self.whole = {"documents": [document], "strings": list(self._places)}

    def _add_element(self, top: Node, parent: int) -> None:
        stack: list[tuple[Node | str, int]] = [(top, parent)]
        while stack:
            node, above = stack.pop()
            if isinstance(node, str):
                self._add(above, TEXT, "#text", node, [])
                continue
            place = self._add(above, ELEMENT, node.tag.upper(), "", self._attributes(node))
            if node.actionable:
                self._clickable.append(place)
            self._layout["nodeIndex"].append(place)
            self._layout["bounds"].append([float(side) for side in node.box])
            self._layout["clientRects"].append(list(node.box) if node.visible else [])
            self._layout["text"].append(-1)
            stack.extend((child, place) for child in reversed(node.children))

    def _add(self, parent: int, kind: int, name: str, value: str, attributes: list[int]) -> int:
        valued = self._place(value) if kind == TEXT else -1
        cells = (parent, kind, self._place(name), valued, attributes)
        for column, cell in zip(self._columns.values(), cells, strict=True):
            column.append(cell)
        return len(self._columns["nodeType"]) - 1

    def _attributes(self, node: Node) -> list[int]:
        named = {"bid": node.bid} if node.bid else {}
        named |= node.attributes
        if "value" in node.state:
            named["value"] = str(node.state["value"])
        named |= {flag: "" for flag in ("checked", "selected", "disabled") if node.state.get(flag)}
        return [self._place(text) for pair in named.items() for text in pair]

    def _place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))


def axtree_object(seen: Observation) -> dict[str, Any]:
    """What is shown of the page as Chromium's ``Accessibility.getFullAXTree`` would give it."""
    nodes: list[dict[str, Any]] = []
    root = _ax_node(nodes, "RootWebArea", seen.title)
    top = prune(seen.tree) if seen.tree else None
    if top is not None:
        shown = top.children if top.tag == "body" and not top.actionable else (top,)
        _add_shown(nodes, root, shown)
    return {"nodes": nodes}


def _add_shown(
    nodes: list[dict[str, Any]], parent: dict[str, Any], children: tuple[Node | str, ...]
) -> None:
    stack = [(child, parent) for child in reversed(children)]
    while stack:
        node, above = stack.pop()
        if isinstance(node, str):
            made = _ax_node(nodes, "StaticText", " ".join(node.split()), above)
            continue
        role = role_of(node)
        made = _ax_node(nodes, role, name_of(node), above)
        if node.bid:
            made["browsergym_id"] = node.bid
        if node.state.get("value") and role not in ("button", "checkbox", "radio"):
            made["value"] = {"type": "string", "value": str(node.state["value"])}
        made["properties"] = _ax_properties(node, role)
        stack.extend((child, made) for child in reversed(node.children))


def _ax_node(
    nodes: list[dict[str, Any]], role: str, name: str, parent: dict[str, Any] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "nodeId": str(len(nodes) + 1),
        "ignored": False,
        "role": {"type": "role", "value": role},
        "name": {"type": "computedString", "value": name},
        "properties": [],
        "childIds": [],
        "backendDOMNodeId": len(nodes) + 1,
    }
    if parent is not None:
        made["parentId"] = parent["nodeId"]
        parent["childIds"].append(made["nodeId"])
    nodes.append(made)
    return made


def _ax_properties(node: Node, role: str) -> list[dict[str, Any]]:
    state = node.state
    told: dict[str, Any] = {}
    if role in ("checkbox", "radio", "switch") or "checked" in state:
        told["checked"] = "true" if state.get("checked") else "false"
    for flag in ("disabled", "expanded", "focused", "selected"):
        if flag in state and (state[flag] or flag == "expanded"):
            told[flag] = bool(state[flag])
    return [{"name": name, "value": {"value": value}} for name, value in told.items()]
