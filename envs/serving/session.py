"""A session: one client's environment and the episode that it plays."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.observation import Observation
from webdojo.envs.serving.messages import image_reference, write_observation, write_step
from webdojo.envs.serving.protocol import EpisodeRequest, RequestError
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Task

IMAGES_KEPT = 4
"""Images of a session that can be asked for: the latest ones."""
CLOSE_TIMEOUT_S = 5.0
"""Real time in which a session's pages must have closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server grants its clients."""

    sessions: int = 16
    idle_s: float = 600.0
    """Real time after which a session that was asked nothing is closed."""
    step_timeout_s: float = 60.0
    """The longest time that a client may grant a step."""

    @property
    def connections(self) -> int:
        """Requests and WebSockets answered at once: some to each session, and a few to ask."""
        return max(16, 4 * self.sessions)


class Session:
    """One client's environment; ``reset``, ``step`` and ``picture`` give what is to be answered.

    They raise RequestError, UserError, and BrowserDiedError as ``WebEnv`` does.
    """

    def __init__(self, chromium: Chromium, limits: Limits) -> None:
        self.id = secrets.token_urlsafe(16)
        self.used_s = time.monotonic()
        """When it was last asked something."""
        self.busy = asyncio.Lock()
        self.ended = asyncio.Event()
        """Set once it is closed for good."""
        self.images: dict[str, tuple[bytes, str]] = {}
        """The latest images and their formats, by name."""
        self._chromium = chromium
        self._limits = limits
        self._env: WebEnv | None = None
        self._asked = EpisodeRequest()
        self._over = True
        self._state: dict[str, Any] = {"episode_id": None, "step_count": 0, "session_id": self.id}

    @property
    def state(self) -> dict[str, Any]:
        """What is known of the episode."""
        return dict(self._state)

    @property
    def frames(self) -> bool:
        """Whether the client takes images as frames of its WebSocket."""
        return self._asked.images == "frames"

    async def reset(self, task: Task, asked: EpisodeRequest) -> dict[str, Any]:
        """Start the episode asked for."""
        spec = asked.spec()
        if spec.step_timeout_s > self._limits.step_timeout_s:
            raise UserError(
                f"step_timeout_s={spec.step_timeout_s:g} is more than this server grants:"
                f" at most {self._limits.step_timeout_s:g}"
            )
        self._over = True
        if self._env is not None and self._env.spec != spec:
            await self._release()
        self._env = env = self._env or WebEnv(self._chromium, spec)
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        self._asked = asked
        observation = await env.reset(task, seed)
        self._over = False
        self._state = {
            "episode_id": asked.episode_id or secrets.token_hex(8),
            "step_count": 0,
            "session_id": self.id,
            "task": task.id,
            "seed": seed,
            "goal": observation.goal,
            "horizon": task.horizon,
            "reward": 0.0,
            "terminated": False,
            "truncated": False,
        }
        told = {
            "session_id": self.id,
            "seed": seed,
            "refused": env.take_refused(),
            "evaluation_s": task.evaluation_s,
        }
        return self._answer(observation, None, done=False, metadata=told)

    async def step(self, action: str) -> dict[str, Any]:
        """Do one action."""
        if self._env is None:
            raise RequestError("SESSION_ERROR", "no episode: call reset first", "RuntimeError")
        if self._over:
            message = "the episode is over: call reset first"
            raise RequestError("SESSION_ERROR", message, "RuntimeError")
        self._over = True
        step = await self._env.step(action)
        self._over = step.terminated or step.truncated
        self._state.update(
            step_count=step.observation.elapsed_steps,
            reward=step.reward,
            terminated=step.terminated,
            truncated=step.truncated,
        )
        told = {"session_id": self.id, **write_step(step)}
        return self._answer(step.observation, step.reward, done=self._over, metadata=told)

    async def picture(self) -> dict[str, Any]:
        """The page as it looks now."""
        if self._env is None:
            raise RequestError("SESSION_ERROR", "no episode: call reset first", "RuntimeError")
        return {"screenshot": self._keep(await self._env.picture(), "png")}

    async def close(self) -> None:
        """Give the page and its context back; closing twice is fine."""
        self.ended.set()
        self._over = True
        self.images.clear()
        await self._release()

    async def _release(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await env.close()

    def _answer(
        self,
        observation: Observation,
        reward: float | None,
        *,
        done: bool,
        metadata: dict[str, Any],
    ) -> dict[str, Any]:
        asked = self._asked
        if observation.screenshot:
            self._keep(observation.screenshot, asked.image_format)
        written = write_observation(observation, asked.modes, asked.image_format, tree=asked.tree)
        return {"observation": written, "reward": reward, "done": done, "metadata": metadata}

    def _keep(self, image: bytes, image_format: str) -> dict[str, Any]:
        reference = image_reference(image, image_format)
        self.images.pop(reference["sha256"], None)
        self.images[reference["sha256"]] = (image, image_format)
        while len(self.images) > IMAGES_KEPT:
            del self.images[next(iter(self.images))]
        return reference
