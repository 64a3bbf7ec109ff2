"""Agents: what acts in an episode, be it a policy, an oracle or chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from webdojo.agents.engines.engine import Engine, Sampling
from webdojo.agents.layouts.layout import THOUGHT, Layout, Shot
from webdojo.envs.observation import Observation
from webdojo.tasks.calls import call
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Task
from webdojo.tasks.view import OracleError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from webdojo.agents.pictures import Pictures
    from webdojo.tasks.task import Oracle


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent does next, and how it came to it.

    Token fields are as in ``Completion``, and empty for agents that draw no tokens.
    """

    action: str
    """The action call; empty if the response held none."""
    remembered: str = ""
    """What the agent's later prompts say of it."""
    prompt_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    versions: tuple[int, ...] = ()
    images: tuple[str, ...] = ()
    """References of the screenshots in the prompt."""


class Agent(Protocol):
    """Acts in one episode."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Observation modes that it reads."""
        ...

    async def act(self, observation: Observation) -> Decision:
        """Decide on the next action."""
        ...


@dataclass
class PolicyAgent:
    """A language model behind an engine, for one episode.

    With ``pictures`` and a layout that shows them, it keeps each screenshot that it is given there
    and holds it: whoever made the agent releases ``held`` when the episode is over.
    """

    engine: Engine
    tokenizer: PreTrainedTokenizerBase
    layout: Layout
    sampling: Sampling
    context_tokens: int
    pictures: Pictures | None = None
    history: list[str] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    _pending: str | None = None
    """The last response, until its outcome is seen."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Those of its layout."""
        return self.layout.modes

    async def act(self, observation: Observation) -> Decision:
        """Prompt the policy and read its response.

        Turn ``t`` is drawn with seed ``sampling.seed + t``, so that an episode repeats exactly.
        """
        self._settle(observation)
        room = self.context_tokens - self.sampling.max_tokens
        self.shots += look(self.layout, self.pictures, observation)
        prompt = self.layout.prompt(self.tokenizer, observation, self.history, room, self.shots)
        turn = Sampling(
            self.sampling.temperature,
            self.sampling.max_tokens,
            self.sampling.seed + observation.elapsed_steps,
        )
        drawn = await self.engine.generate(prompt.token_ids, turn, images=prompt.images)
        response = str(self.tokenizer.decode(list(drawn.token_ids), skip_special_tokens=True))
        if prompt.thinks:
            response = THOUGHT + response
        self._pending = response
        return Decision(
            action=self.layout.action(response),
            remembered=response,
            prompt_ids=tuple(prompt.token_ids),
            token_ids=drawn.token_ids,
            logprobs=drawn.logprobs,
            versions=drawn.versions,
            images=prompt.images,
        )

    @property
    def held(self) -> list[str]:
        """References of the screenshots that it holds, each as often as it does."""
        return [shot.picture.reference for shot in self.shots]

    def _settle(self, observation: Observation) -> None:
        if self._pending is not None:
            error, changed = observation.last_action_error, observation.page_changed
            self.history.append(self.layout.remember(self._pending, error, changed))
            self._pending = None


def look(layout: Layout, pictures: Pictures | None, observation: Observation) -> list[Shot]:
    """Keep an observation's screenshot, if the layout shows any.

    Raises UserError if it is to show some and there is none, or nowhere to keep it.
    """
    if layout.vision is None:
        return []
    if pictures is None or not observation.screenshot:
        lacking = "a place to keep screenshots" if pictures is None else "observations with them"
        raise UserError(
            f"the {layout.name} layout shows screenshots and was not given {lacking}: set"
            " EnvSpec.screenshot and the agent's pictures, or take policy.screenshots out"
        )
    return [Shot(observation.elapsed_steps + 1, pictures.keep(observation.screenshot))]


class OracleAgent:
    """Plays a task's oracle."""

    modes: tuple[str, ...] = ("pruned_html",)

    def __init__(self, task: Task) -> None:
        self._task = task
        self._oracle: Oracle | None = None

    async def act(self, observation: Observation) -> Decision:
        """The oracle's next action; OracleError if it gives up."""
        try:
            if self._oracle is None:
                self._oracle = self._task.oracle(observation.view())
                return Decision(next(self._oracle))
            return Decision(self._oracle.send(observation.view()))
        except StopIteration:
            raise OracleError(f"the oracle of {self._task.id} has no further action") from None
        except NotImplementedError as error:
            raise UserError(str(error)) from None


class RandomAgent:
    """Clicks, fills or selects at random what can be acted on."""

    modes: tuple[str, ...] = ("pruned_html",)

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)

    async def act(self, observation: Observation) -> Decision:
        """A random element and a fitting verb; texts are words of the goal."""
        found = observation.view().all()
        if not found:
            return Decision(call("noop"))
        element = self._rng.choice(found)
        bid = str(element["bid"])
        if element.name == "select":
            options = [option.get_text(strip=True) for option in element.find_all("option")]
            if options:
                return Decision(call("select_option", bid, self._rng.choice(options)))
        if element.name == "textarea" or (
            element.name == "input"
            and element.get("type") not in ("checkbox", "radio", "submit", "button")
        ):
            return Decision(call("fill", bid, self._rng.choice(_words(observation.goal))))
        return Decision(call("click", bid))


def _words(goal: str) -> Sequence[str]:
    return [word.strip('".,') for word in goal.split()] or [""]
