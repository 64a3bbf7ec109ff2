"""Demonstrations: a task's oracle, told in the words of a policy's own layout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from webdojo.agents.agent import Agent, Decision, OracleAgent, look
from webdojo.agents.layouts.layout import THOUGHT_END, Layout, Shot
from webdojo.envs.observation import Observation
from webdojo.tasks.success import is_success
from webdojo.tasks.task import Task
from webdojo.training.rollouts.trajectory import Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from webdojo.agents.pictures import Pictures


@dataclass(frozen=True)
class Demonstrators:
    """Makes agents that play the oracle and record it as the policy's own tokens.

    With probability ``noise`` the recorded response is about a random element, while the oracle's
    action is played all the same: a policy trained on such records keeps trying other things, which
    reinforcement needs.
    """

    tokenizer: PreTrainedTokenizerBase
    layout: Layout
    context_tokens: int
    max_response_tokens: int
    noise: float = 0.0
    pictures: Pictures | None = None
    """Where a layout that shows screenshots keeps them."""

    def __call__(self, task: Task, seed: int) -> Agent:
        """A demonstrator of ``task``."""
        return _Demonstrator(self, OracleAgent(task), Random(seed))


class _Demonstrator:
    def __init__(self, made_by: Demonstrators, oracle: OracleAgent, rng: Random) -> None:
        self._all = made_by
        self._oracle = oracle
        self._rng = rng
        self._history: list[str] = []
        self._shots: list[Shot] = []
        self.modes: tuple[str, ...] = ("pruned_html", *made_by.layout.modes)

    async def act(self, observation: Observation) -> Decision:
        """The oracle's action, with the prompt and response that a policy would have had.

        A step that the layout cannot say, or that is too long, has no tokens and is not trained on.
        """
        action = (await self._oracle.act(observation)).action
        layout, tokenizer = self._all.layout, self._all.tokenizer
        room = self._all.context_tokens - self._all.max_response_tokens
        self._shots += look(layout, self._all.pictures, observation)
        try:
            said = layout.response(action, observation)
        except ValueError:
            return Decision(action)
        prompt = layout.prompt(tokenizer, observation, self._history, room, self._shots)
        self._history.append(layout.remember(_without_end(tokenizer, said), ""))
        noisy = self._rng.random() < self._all.noise
        recorded = layout.distraction(observation, self._rng) if noisy else said
        if prompt.thinks:
            recorded = f"{THOUGHT_END}\n\n{recorded}"
        response = tokenizer.encode(recorded, add_special_tokens=False)
        if response and response[-1] != tokenizer.eos_token_id:
            response.append(tokenizer.eos_token_id)
        if len(response) > self._all.max_response_tokens or len(prompt.token_ids) > room:
            return Decision(action)
        return Decision(
            action,
            prompt_ids=tuple(prompt.token_ids),
            token_ids=tuple(response),
            images=prompt.images,
        )

    @property
    def held(self) -> list[str]:
        """References of the screenshots that it holds, each as often as it does."""
        return [shot.picture.reference for shot in self._shots]


@dataclass
class Taught:
    """What a policy can learn of each task from its demonstrations, tallied as they go by."""

    _played: Counter[str] = field(default_factory=Counter)
    _solved: Counter[str] = field(default_factory=Counter)
    _verbs: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Of each task the verbs of its solutions, and how many steps of each have tokens."""

    def through(self, demonstrations: Iterable[Trajectory]) -> Iterator[Trajectory]:
        """The same demonstrations."""
        for trajectory in demonstrations:
            name = trajectory.task_id
            self._played[name] += 1
            if is_success(trajectory.reward):
                self._solved[name] += 1
                verbs = self._verbs[name]
                for turn in trajectory.turns:
                    verb = turn.action.partition("(")[0].strip()
                    verbs[verb] = verbs.get(verb, 0) + bool(turn.response_ids)
            yield trajectory

    def gaps(self, layout: str) -> Iterator[str]:
        """A sentence for each task of which something is never learned; ``layout`` is a name."""
        for name, played in self._played.items():
            # A response that holds no action does nothing: that needs no words.
            never = [verb for verb, steps in self._verbs[name].items() if not steps]
            never = [verb for verb in never if verb != "noop"]
            if not self._solved[name]:
                yield (
                    f"{name}: not one of its {played} demonstrations succeeded, and only those that"
                    " do are learned from: `webdojo tasks check` says why"
                )
            elif never:
                clicks = "; where a click does the same, let the oracle click"
                yield (
                    f"{name}: its demonstrations teach no {', '.join(never)}: such a step cannot be"
                    f" said in the layout {layout!r}, or is longer than policy.max_response_tokens"
                    " or policy.context_tokens allow; docs/engines.md tells what each layout says"
                    + clicks
                    * any(verb in ("check", "uncheck") for verb in never)
                )


def _without_end(tokenizer: PreTrainedTokenizerBase, response: str) -> str:
    return response.removesuffix(str(tokenizer.eos_token))
