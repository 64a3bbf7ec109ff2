"""The page as seen by eye: where everything is that people can see, and how it is painted.

For oracles of pages that are solved by looking: shapes, colours, words to be marked with the mouse.
What is faded out, clipped away or out of reach is left out, by the rule of ``tasks/sight.js``. An
agent sees the same in screenshots, save that it must scroll to what lies further down, and uncover
what is covered.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from webdojo.tasks.characters import whole
from webdojo.tasks.sight import SIGHT
from webdojo.tasks.view import PageView

if TYPE_CHECKING:
    from webdojo.envs.core import WebEnv
    from webdojo.envs.observation import Observation

_SCRIPT = (
    (Path(__file__).parent / "layout.js").read_text(encoding="utf-8").replace("__SIGHT__", SIGHT)
)


async def look(env: WebEnv, observation: Observation) -> PageView:
    """The view of an observation with its layout filled in."""
    view = observation.view()
    layout = await env.page.evaluate(_SCRIPT)
    return PageView(view.goal, view.html, view.url, view.boxes, whole(layout))
