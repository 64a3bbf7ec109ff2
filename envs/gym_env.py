"""The Gymnasium face: one task as a ``gymnasium.Env``, over the asynchronous core.

import gymnasium
env = gymnasium.make("webdojo/miniwob.click-button-v0")
observation, info = env.reset(seed=1)
observation, reward, terminated, truncated, info = env.step('click("1")')

With ``url="http://host:8000"`` the pages are those of ``webdojo serve`` on another machine.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
from gymnasium import logger, spaces
from numpy.typing import NDArray

from webdojo.envs.action_sets import action_set
from webdojo.envs.actions import MAX_TEXT
from webdojo.envs.background import Background
from webdojo.envs.browser import BrowserDiedError, BrowserOptions, find_chromium
from webdojo.envs.core import NoEpisodeError, WebEnv
from webdojo.envs.observation import Observation
from webdojo.envs.pruning_rules import Rule
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spaces import ActionText, TextList, UnicodeText
from webdojo.envs.spec import EnvSpec
from webdojo.envs.tabs import MAX_TABS
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.tasks.splits.split import TRAIN_SEEDS

if TYPE_CHECKING:
    from webdojo.envs.remote import TaskFigures

MAX_PAGE_TEXT = 1 << 17
"""Characters of a page's text form that an observation holds at most."""
MAX_LINE = 1 << 12
"""The same for addresses, titles and messages."""
CUT = "\n… cut: the page goes on for {} more characters"

PixelArray = NDArray[np.uint8]


class WebDojoEnv(gymnasium.Env[dict[str, Any], str]):
    """One task. Actions are calls as text; observations are dictionaries with BrowserGym's keys.

    ``reset(seed=n)`` starts the task's instance n; without a seed the next one is drawn from the
    environment's own generator. A browser that dies during a step truncates the episode and says
    so in ``info["browser_died"]``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it for instances
        "render_modes": ["human", "rgb_array"],
        "render_fps": 4,
    }

    def __init__(
        self,
        task_id: str,
        *,
        tasks_files: Iterable[str] = (),
        modes: Iterable[str] = ("pruned_html",),
        screenshot: bool | Literal["marks"] = True,
        actions: Iterable[str] | None = None,
        coordinates: Literal["pixels", "thousandths"] = "pixels",
        max_characters: int | None = None,
        rules: Iterable[Rule] = (),
        settle_ms: int = 500,
        step_timeout_s: float = 15.0,
        render_mode: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        tree: bool = False,
    ) -> None:
        """Take the task named ``task_id``; ``tasks_files`` are loaded first.

        ``modes`` names the text forms of the page to show, ``screenshot`` says whether there is
        one, and with "marks" that what can be acted on is framed and numbered in it. ``actions``
        are the verbs or subsets of them that are known, ``max_characters`` bounds each text form,
        and ``rules`` change the page before it is pruned. With ``url`` the task is that of the
        environment server there, files of tasks are the server's own, rules there are none, and
        ``tree`` says whether ``last_observation`` holds the page's tree, as it always does without.
        Raises UserError for an unknown task or verb, ValueError for another option that cannot be,
        and RemoteError for a server that does not answer.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            known = " or ".join(map(repr, self.metadata["render_modes"]))
            raise ValueError(f"render_mode={render_mode!r}: give {known}")
        self.render_mode = render_mode
        spec = EnvSpec(
            modes=tuple(_several(modes)),
            screenshot=_picture(screenshot),
            actions=None if actions is None else action_set(_several(actions)),
            coordinates=coordinates,
            max_characters=MAX_PAGE_TEXT if max_characters is None else max_characters,
            rules=(rules,) if callable(rules) else tuple(rules),
            settle_ms=settle_ms,
            step_timeout_s=step_timeout_s,
        )
        self.is_remote = url is not None
        self._spec = spec
        self._background = Background.get()
        self._pages: _Local | _Remote
        if url is None:
            load_files(tasks_files)
            self._pages = _Local(task_id, spec, show=render_mode == "human")
        else:
            if render_mode == "human":
                logger.warn("render_mode='human': the page is on the server, so it is not shown")
            self._pages = _Remote(task_id, spec, url, api_key, tree=tree)
        self.action_space = ActionText(spec.actions)
        self.observation_space = _observation_space(spec, self._pages.viewport)
        self._last: Observation | None = None
        self._why_none = "no episode: call reset first"
        self._lost = False
        """Whether the episode's page is gone."""
        self._untold = ""
        """Why, where no step has told it yet."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start the instance chosen by ``seed``, or the next one.

        Raises BrowserDiedError if the browser cannot be had twice in a row.
        """
        super().reset(seed=seed)
        # Instances for training: who trains in a plain loop sees none that is held out.
        instance = seed if seed is not None else int(self.np_random.integers(TRAIN_SEEDS.stop))
        try:
            self._last = self._pages.reset(instance)
        except BrowserDiedError:
            self._last = self._pages.reset(instance)
        self._lost, self._untold = False, ""
        refused = self._pages.env.take_refused()
        info = {"seed": instance, "notices": self._last.notices, "refused": refused}
        return self._shown(self._last), info

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Do one action, such as ``click("12")``."""
        last = self.last_observation
        try:
            if self._untold:
                raise BrowserDiedError(self._untold)
            step = self._background.run(self._pages.env.step(str(action)))
        except BrowserDiedError as died:
            self._lost, self._untold = True, ""
            return self._shown(last), 0.0, False, True, {"browser_died": str(died)}
        except NoEpisodeError as over:
            raise gymnasium.error.ResetNeeded(str(over)) from None
        self._last = step.observation
        info = {
            "message": step.message,
            "notices": step.observation.notices,
            "unsettled": step.unsettled,
            "refused": step.refused,
            "downloads": tuple(map(str, step.downloads)),
            "blocked": step.blocked,
            "undecided": step.undecided,
        }
        return self._shown(self._last), step.reward, step.terminated, step.truncated, info

    def render(self) -> PixelArray | None:
        """The page as pixels [height, width, 3] if ``render_mode`` is ``rgb_array``.

        A page that is gone is shown as it was seen last, black if no screenshot was asked for.
        """
        if self.render_mode != "rgb_array":
            return None
        last = self.last_observation
        if not self._lost:
            try:
                return _pixels(self._background.run(self._pages.env.picture()))
            except BrowserDiedError as died:
                self._lost, self._untold = True, str(died)
        width, height = last.viewport
        return _pixels(last.screenshot) if last.screenshot else np.zeros((height, width, 3), "u1")

    def close(self) -> None:
        """Give the page back, and the browser with the last one; closing twice is fine.

        ``reset`` opens it again.
        """
        self._last, self._why_none = None, "the environment is closed: call reset to open it again"
        self._pages.close()

    @property
    def last_observation(self) -> Observation:
        """What was seen last, with all that no observation space holds; raises ResetNeeded."""
        if self._last is None:
            raise gymnasium.error.ResetNeeded(self._why_none)
        return self._last

    def _shown(self, observation: Observation) -> dict[str, Any]:
        urls, titles = observation.open_pages_urls, observation.open_pages_titles
        shown: dict[str, Any] = {
            "goal": _cut(observation.goal),
            "url": _line(observation.url),
            "open_pages_urls": tuple(map(_line, urls)),
            "open_pages_titles": tuple(map(_line, titles)),
            "active_page_index": np.array([observation.active_page_index], dtype=np.int64),
            "focused_element_bid": observation.focused_element_bid,
            "last_action": observation.last_action[:MAX_TEXT],
            "last_action_error": observation.last_action_error[:MAX_TEXT],
            "elapsed_time": np.array([observation.page_time_ms / 1000], dtype=np.float64),
        }
        for mode in self._spec.modes:
            shown[mode] = _cut(getattr(observation, mode))
        if self._spec.screenshot is not None:
            shown["screenshot"] = _pixels(observation.screenshot)
        return shown


class _Local:
    """A page of this process's Chromium, held from the first episode on."""

    def __init__(self, task_id: str, spec: EnvSpec, *, show: bool) -> None:
        self.task = registry.get(task_id)
        self.viewport = self.task.viewport
        self._spec = spec
        self._options = BrowserOptions(headless=not (show and _has_display()))
        if show and self._options.headless:
            logger.warn("render_mode='human': there is no display, so the page is not shown")
        elif show and "headless" in str(chromium := find_chromium(window=True)):
            logger.warn(
                f"render_mode='human': {chromium} has no window, so the page is not shown;"
                " set WEBDOJO_CHROMIUM to a full Chromium"
            )
        self._env: WebEnv | None = None

    @property
    def env(self) -> WebEnv:
        if self._env is None:
            self._env = WebEnv(Background.get().hold(self._options), self._spec)
        return self._env

    def reset(self, seed: int) -> Observation:
        return Background.get().run(self.env.reset(self.task, seed))

    def close(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            Background.get().run(env.close())
            Background.get().release(self._options)


class _Remote:
    """A page of an environment server."""

    def __init__(
        self, task_id: str, spec: EnvSpec, url: str, api_key: str | None, *, tree: bool
    ) -> None:
        from webdojo.envs.remote import RemoteWebEnv

        self.env = RemoteWebEnv(url, spec, api_key=api_key, tree=tree)
        self.task_id = task_id
        self.viewport = Background.get().run(self._described()).viewport

    def reset(self, seed: int) -> Observation:
        return Background.get().run(self.env.reset(self.task_id, seed))

    def close(self) -> None:
        Background.get().run(self.env.close())

    async def _described(self) -> TaskFigures:
        try:
            return await self.env.describe(self.task_id)
        finally:
            await self.env.close()


def _observation_space(spec: EnvSpec, viewport: tuple[int, int]) -> spaces.Dict:
    width, height = viewport
    shown: dict[str, spaces.Space[Any]] = {
        "goal": UnicodeText(MAX_PAGE_TEXT),
        "url": UnicodeText(MAX_LINE),
        "open_pages_urls": TextList(MAX_TABS, MAX_LINE),
        "open_pages_titles": TextList(MAX_TABS, MAX_LINE),
        "active_page_index": spaces.Box(0, MAX_TABS - 1, (1,), np.int64),
        "focused_element_bid": UnicodeText(MAX_LINE),
        "last_action": UnicodeText(MAX_TEXT),
        "last_action_error": UnicodeText(MAX_TEXT),
        "elapsed_time": spaces.Box(0.0, np.inf, (1,), np.float64),
    }
    for mode in spec.modes:
        shown[mode] = UnicodeText(MAX_PAGE_TEXT)
    if spec.screenshot is not None:
        shown["screenshot"] = spaces.Box(0, 255, (height, width, 3), np.uint8)
    return spaces.Dict(shown)


def _picture(wanted: object) -> ScreenshotSpec | None:
    if wanted == "marks":
        return ScreenshotSpec("png", marks=True)
    if not isinstance(wanted, bool):
        raise UserError(f'screenshot is True, False or "marks"; it is {wanted!r}')
    return ScreenshotSpec("png") if wanted else None


def _several(names: Iterable[str]) -> Iterable[str]:
    return (names,) if isinstance(names, str) else names


def _cut(text: str) -> str:
    if len(text) <= MAX_PAGE_TEXT:
        return text
    room = MAX_PAGE_TEXT - len(CUT) - 10
    return text[:room] + CUT.format(len(text) - room)


def _line(text: str) -> str:
    return " ".join(text.splitlines())[:MAX_LINE]


def _pixels(image: bytes) -> PixelArray:
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        return np.asarray(opened.convert("RGB"))


def _has_display() -> bool:
    return os.name == "nt" or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
