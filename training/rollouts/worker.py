"""What the rollout process does: browsers, agents, engine and pool, away from the learner.

It runs in a process of its own so that decoding, browsers and gradient steps overlap. How it is
asked is ``webdojo.training.rollouts.serving``, and the learner's side of that
``webdojo.training.rollouts.process``.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, cast

from webdojo.agents.endpoint import EndpointAgents, is_endpoint
from webdojo.agents.engines.memory import KEPT_SEQUENCES
from webdojo.agents.layouts.layout import Vision
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.pool import EnvPool
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.sampling import make_sampler
from webdojo.training.episodes import (
    EpisodeId,
    MakeAgent,
    PolicyAgents,
    ValidAgents,
    oracle_agent,
    random_agent,
    run_episode,
)
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.held_pictures import HeldPictures, references
from webdojo.training.rollouts.ledger import lives_on
from webdojo.training.rollouts.trajectory import Group, Trajectory

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from webdojo.agents.agent import Agent
    from webdojo.agents.checkpoint import Checkpoint
    from webdojo.agents.engines.restarting import RestartingEngine
    from webdojo.agents.engines.transformers_engine import TransformersEngine
    from webdojo.agents.engines.vllm_engine import Broadcast, VllmEngine
    from webdojo.agents.pictures import Pictures
    from webdojo.tasks.task import Task
    from webdojo.training.config import RolloutConfig
    from webdojo.training.rollouts.pool import RolloutPool

Player = Literal["policy", "valid-policy", "oracle", "random", "demonstrator"]
"""Who plays; ``valid-policy`` is the policy decoding valid actions only."""
LOOKING = ("policy", "valid-policy", "demonstrator")
"""Players whose prompts may show screenshots."""
RECENT, RECENT_OF_TASK = 400, 80
"""Episodes over which success is shown, of all tasks and of one."""
ATTEMPTS = 3
"""Times that an episode outside the pool is begun before it is given up."""
MOST_GIVEN_UP = 8
"""Episodes given up in a row after which something must be wrong with more than they."""


class BlockedEpisodeError(Exception):
    """The site would not have the agent: nothing to learn from."""


@dataclass(frozen=True)
class WorkerSettings:
    """What the rollout process needs to know at its start."""

    task_files: tuple[str, ...] = ()
    checkpoint: str = ""
    """Empty for players that need no policy."""
    layout: str | None = None
    engine: Literal["transformers", "vllm"] = "transformers"
    weight_transfer: Literal["file", "nccl"] = "file"
    context_tokens: int = 1024
    max_response_tokens: int = 48
    slots: int = 16
    engine_threads: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the engine where it runs on an accelerator."""
    deterministic: bool = False
    """Whether the engine draws one response at a time and keeps no prefixes, so that what it gives
    does not depend on what else it draws, even in the last bit."""
    deadline_s: float = 60.0
    vision: Vision | None = None
    """Screenshots in prompts; None takes what the checkpoint says of itself."""


@dataclass
class Worker:
    """Everything that lives in the rollout process."""

    settings: WorkerSettings
    chromium: Chromium = field(default_factory=Chromium)
    engine: RestartingEngine[TransformersEngine] | RestartingEngine[VllmEngine] | None = None
    pool: RolloutPool | None = None
    log: TrajectoryLog | None = None
    envs: dict[EnvSpec, EnvPool] = field(default_factory=dict)
    pictures: Pictures | None = None
    held: HeldPictures | None = None
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    given_up: int = 0
    """Episodes outside the pool that were given up since the last one that ended."""
    tallies: dict[str, deque[bool]] = field(default_factory=dict)
    vision: Vision | None = None
    """What the policy's prompts show of how pages look, once it was looked up."""
    screenshots: Path | None = None
    """Folder in which they are kept; None for one that goes with the process."""
    _own_folder: TemporaryDirectory[str] | None = None

    async def open_browser(self) -> int:
        """Start the browser, if it does not run; gives its process id."""
        return await self.chromium.process_id()

    async def keep_screenshots(self, folder: Path) -> None:
        """Keep the screenshots that prompts show in ``folder``, where the learner finds them."""
        self.screenshots = folder

    # Episodes outside the pool: demonstrations and evaluation ---------------------------------

    async def play(
        self,
        player: Player,
        episodes: Sequence[EpisodeId],
        temperature: float,
        seed: int,
        noise: float = 0.0,
    ) -> AsyncIterator[Trajectory]:
        """Play ``episodes`` and give each trajectory as it ends, in no fixed order.

        An episode whose browser dies, or that takes too long, is begun again; after ``ATTEMPTS``
        it counts as a failure that ended with the ``deadline``. Raises UserError if one episode
        after another has to be given up.
        """
        make_agent = self._agents(player, temperature, noise)
        modes = make_agent(registry.get(episodes[0].task_id), 0).modes if episodes else ()
        envs = self._envs(player, modes)
        # What demonstrations show is looked at in the warm start.
        hold = self._hold if player == "demonstrator" else _let_go
        queue = iter(episodes)
        most = min(MOST_GIVEN_UP, len(episodes))
        pending: set[asyncio.Task[Trajectory]] = set()
        done: set[asyncio.Task[Trajectory]] = set()
        try:
            while True:
                while len(pending) < self.settings.slots and (which := next(queue, None)):
                    agent_seed = episode_seed(seed, which)
                    episode = self._retried(which, envs, make_agent, agent_seed, most, hold)
                    pending.add(asyncio.create_task(episode))
                if not pending:
                    return
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, *done, return_exceptions=True)
            if player == "demonstrator":
                # Nobody demonstrates twice, and idle pages take memory for as long as they wait.
                await envs.close()

    async def _retried(
        self,
        which: EpisodeId,
        envs: EnvPool,
        make_agent: MakeAgent,
        agent_seed: int,
        most_given_up: int,
        hold: Callable[[Trajectory], None],
    ) -> Trajectory:
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                async with asyncio.timeout(self.settings.deadline_s):
                    found = await self._run(which, envs, make_agent, agent_seed, hold=hold)
            except BrowserDiedError as error:
                reason = str(error)
            except TimeoutError:
                reason = f"no end within {self.settings.deadline_s:g} s"
            else:
                self.given_up = 0
                return found
        self.given_up += 1
        if self.given_up >= most_given_up:
            raise UserError(
                f"{self.given_up} episodes in a row were given up after {ATTEMPTS} attempts each;"
                f" the last was {which.task_id} with seed {which.seed}: {reason}; see whether its"
                " page can be reached, and whether `webdojo doctor` finds the browser fit"
            )
        return Trajectory(
            which.episode_id, which.task_id, which.seed, which.group_id, which.member, (), 0.0,
            "deadline", attempts=ATTEMPTS,
        )  # fmt: skip

    async def _run(
        self,
        which: EpisodeId,
        envs: EnvPool,
        make_agent: MakeAgent,
        agent_seed: int,
        progress: Callable[[], None] = lambda: None,
        *,
        hold: Callable[[Trajectory], None],
    ) -> Trajectory:
        """Play one episode; what the user's own task file raises becomes a UserError."""
        agents: list[Agent] = []

        def made(task: Task, seed: int) -> Agent:
            agents.append(make_agent(task, seed))
            return agents[-1]

        try:
            played = await run_episode(which, envs, made, agent_seed, progress)
            hold(played)
            return played
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if frame.filename in self.settings.task_files]
            if isinstance(error, UserError | BrowserDiedError) or not own:
                raise
            raise UserError(
                f"{own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {error}, in"
                f" {which.task_id} with seed {which.seed}; mend the task and try again"
            ) from error
        finally:
            if self.pictures is not None:
                for agent in agents:
                    self.pictures.release(getattr(agent, "held", ()))

    # The pool ----------------------------------------------------------------------------------

    async def start_pool(
        self,
        rollout: RolloutConfig,
        task_ids: Sequence[str],
        seeds: range,
        seed: int,
        log_path: Path,
        version: int = 0,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Set the everlasting rollouts going, from ``state`` if there is one."""
        from webdojo.training.rollouts.pool import RolloutPool

        make_agent = self._agents("policy", rollout.temperature)
        envs = self._envs("policy", make_agent(registry.get(task_ids[0]), 0).modes)
        sampler = make_sampler(rollout.sampler, task_ids, seeds, seed)
        finished = []
        if state is not None:
            wanted = lives_on(state)
            finished = [each for each in read_trajectories(log_path) if wanted(each.group_id)]
        self.log = log = TrajectoryLog(log_path)
        if self.pictures is not None:
            self.held = held = HeldPictures(self.pictures)
            held.resume(finished)

        async def run(request: EpisodeRequest) -> Trajectory:
            which = EpisodeId(
                request.episode_id,
                request.task_id,
                request.seed,
                request.group_id,
                request.member,
                request.attempt,
            )
            # A repeated attempt draws the same tokens where the course is to repeat.
            first = replace(which, episode_id=f"{which.group_id:06d}-{which.member}-1")
            agent_seed = episode_seed(seed, first if rollout.deterministic else which)
            hold = self.held.finished if self.held is not None else _let_go
            played = await self._run(
                which, envs, make_agent, agent_seed, request.progress, hold=hold
            )
            if played.ending == "blocked":
                raise BlockedEpisodeError(
                    f"{which.task_id} with seed {which.seed} was blocked by its site: take it out"
                    " of tasks.reinforced, or train where the site answers"
                )
            return played

        async def keep(trajectory: Trajectory) -> None:
            log.append(trajectory)
            self.recent.append(trajectory.reward > 0)
            tally = self.tallies.setdefault(trajectory.task_id, deque(maxlen=RECENT_OF_TASK))
            tally.append(trajectory.reward > 0)

        self.pool = RolloutPool(
            run,
            sampler,
            slots=rollout.slots,
            groups_per_batch=rollout.groups_per_batch,
            group_size=rollout.group_size,
            staleness=rollout.staleness,
            version=version,
            collection=rollout.collection,
            deadline_s=rollout.deadline_s,
            retries=rollout.retries,
            rounds=rollout.rounds,
            on_trajectory=keep,
            on_event=self.held.happened if self.held is not None else None,
        )
        if state is not None:
            self.pool.load_state_dict(state, finished, repeats=rollout.deterministic)
        self.pool.start()

    async def next_batch(self, version: int, patience_s: float) -> list[Group] | None:
        """The groups of the next update; None if they have not come within ``patience_s``."""
        assert self.pool is not None
        try:
            async with asyncio.timeout(patience_s):
                return await self.pool.next_batch(version)
        except TimeoutError:
            return None

    async def load(self, weights: Path) -> None:
        """Serve the weights of a checkpoint from now on."""
        engine = self._engine()
        await engine.update_weights(weights, engine.version)

    async def join_learner(self, group: dict[str, Any]) -> None:
        """Have vLLM join the group over which the learner broadcasts weights."""
        engine = cast("RestartingEngine[VllmEngine]", self._engine())
        await engine.engine.join(group)

    async def publish(self, weights: Path | Broadcast, version: int) -> None:
        """Load new weights between two decode steps, while episodes run."""
        engine: Any = self._engine()
        await engine.update_weights(weights, version)
        if self.held is not None:
            self.held.published()
        if self.pool is not None:
            self.pool.set_version(version)

    async def pool_state(self) -> dict[str, Any]:
        """The pool's ledger, for a checkpoint."""
        assert self.pool is not None
        if self.held is not None:
            self.held.checkpoint()
        if self.log is not None:
            self.log.sync()
        return self.pool.state_dict()

    async def stop_pool(self) -> dict[str, Any]:
        """End the rollouts; gives the pool's last figures."""
        figures = self.figures()
        if self.pool is not None:
            await self.pool.close()
            self.pool = None
        if self.log is not None:
            self.log.close()
            self.log = None
        return figures

    # ------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, Any]:
        """What the rollouts have done so far."""
        found: dict[str, Any] = {"browser_launches": self.chromium.launches}
        if self.engine is not None:
            counters = self.engine.counters
            found["engine"] = asdict(counters)
        if self.recent:
            found["recent_success"] = sum(self.recent) / len(self.recent)
            found["recent_episodes"] = len(self.recent)
        found["tasks"] = {task: (len(t), sum(t)) for task, t in self.tallies.items()}
        if self.pictures is not None:
            found["images"] = {"held": self.pictures.held, "computed": self.pictures.computed}
        if self.pool is not None:
            status = self.pool.status()
            found["pool"] = status.counters.state_dict()
            found["pool"]["idle_share"] = status.counters.idle_share
            found["pool"]["longest_silence_s"] = max(slot.silent_s for slot in status.slots)
            found["running"] = sum(1 for slot in status.slots if slot.task_id)
        return found

    async def close(self) -> None:
        """Stop everything."""
        await self.stop_pool()
        for envs in self.envs.values():
            await envs.close()
        if self.engine is not None:
            await self.engine.close()
        await self.chromium.close()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    def _envs(self, player: Player, modes: tuple[str, ...]) -> EnvPool:
        spec = EnvSpec(modes=modes)
        if self.vision is not None and player in LOOKING:
            # Oracles give places in pixels, whatever a policy does.
            counted: Literal["pixels", "thousandths"] = (
                "pixels" if player == "demonstrator" else "thousandths"
            )
            shot = ScreenshotSpec(marks=self.vision.marks)
            spec = EnvSpec(modes=modes, screenshot=shot, coordinates=counted)
        if spec not in self.envs:
            self.envs[spec] = EnvPool(self.chromium, spec, self.settings.slots)
        return self.envs[spec]

    def _hold(self, trajectory: Trajectory) -> None:
        if self.pictures is not None:
            self.pictures.hold(references(trajectory))

    def _checkpoint(self) -> Checkpoint:
        """The policy's; sets what its prompts show, and where screenshots are kept."""
        from webdojo.agents.checkpoint import find_checkpoint

        settings = self.settings
        found = find_checkpoint(settings.checkpoint, settings.layout, settings.vision)
        self.vision = found.layout.vision
        if self.vision is not None and self.pictures is None:
            if self.screenshots is None:
                self._own_folder = TemporaryDirectory(prefix="webdojo-screenshots-")
                self.screenshots = Path(self._own_folder.name)
            self.pictures = found.pictures(self.screenshots)
        return found

    def _agents(self, player: Player, temperature: float, noise: float = 0.0) -> MakeAgent:
        if player == "oracle":
            return oracle_agent
        if player == "random":
            return random_agent
        from webdojo.training.demonstrations import Demonstrators

        settings = self.settings
        if is_endpoint(settings.checkpoint):
            self.vision = settings.vision
            return EndpointAgents(
                settings.checkpoint,
                settings.layout,
                settings.max_response_tokens,
                temperature,
                self.vision,
            )
        found = self._checkpoint()
        limits = (settings.context_tokens, settings.max_response_tokens)
        if player == "demonstrator":
            return Demonstrators(found.tokenizer(), found.layout, *limits, noise, self.pictures)
        engine = self._engine()
        free = PolicyAgents(
            engine, found.tokenizer(), found.layout, *limits, temperature, self.pictures
        )
        if player != "valid-policy":
            return free
        if settings.engine != "transformers":
            raise UserError('only policy.engine = "transformers" can be held to valid actions')
        return ValidAgents(free, cast("RestartingEngine[TransformersEngine]", engine))

    def _engine(self) -> RestartingEngine[TransformersEngine] | RestartingEngine[VllmEngine]:
        if self.engine is None:
            from webdojo.agents.engines.restarting import RestartingEngine

            found = self._checkpoint()
            if self.settings.engine == "vllm":
                # What came over NCCL is nowhere to be had again.
                deaths = 3 if self.settings.weight_transfer == "file" else 0
                start = partial(self._vllm, found.path)
                self.engine = RestartingEngine(start, deaths=deaths)
            else:
                self.engine = RestartingEngine(partial(self._transformers, found))
        return self.engine

    def _vllm(self, checkpoint: str, version: int) -> VllmEngine:
        from webdojo.agents.engines.vllm_engine import VllmEngine

        settings = self.settings
        return VllmEngine(
            checkpoint,
            version=version,
            slots=1 if settings.deterministic else settings.slots,
            context_tokens=settings.context_tokens,
            dtype=settings.precision if accelerated() else "float32",
            threads=settings.engine_threads,
            pictures=self.pictures,
            images=self.vision.images if self.vision is not None else 0,
            transfer=settings.weight_transfer,
        )

    def _transformers(self, checkpoint: Checkpoint, version: int) -> TransformersEngine:
        from webdojo.agents.engines.transformers_engine import TransformersEngine

        settings = self.settings
        alone = settings.deterministic
        return TransformersEngine(
            on_accelerator(checkpoint.model(), settings.precision),
            version=version,
            slots=1 if alone else settings.slots,
            kept=0 if alone else KEPT_SEQUENCES,
            context_tokens=settings.context_tokens,
            threads=settings.engine_threads,
            pictures=self.pictures,
        )


def _let_go(trajectory: Trajectory) -> None:
    pass


def accelerated() -> bool:
    """Whether engines run on an accelerator here; without one they compute in float32."""
    import torch

    return torch.accelerator.is_available()


def on_accelerator(model: PreTrainedModel, precision: str) -> PreTrainedModel:
    """The model on the last GPU, if there is one, in ``precision``; else as it is.

    Learners take the first GPUs; with one GPU both share it.
    """
    import torch

    if not accelerated():
        return model
    device = torch.accelerator.device_count() - 1
    kind = torch.accelerator.current_accelerator()
    assert kind is not None
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    module: nn.Module = model
    module.to(device=torch.device(kind.type, device), dtype=dtype)
    return model


def episode_seed(seed: int, which: EpisodeId) -> int:
    """Seed of an episode's tokens: a function of the run's seed and the episode alone."""
    from random import Random

    return Random(f"{seed}/{which.episode_id}/{which.task_id}/{which.seed}").getrandbits(31)
