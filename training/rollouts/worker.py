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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from webdojo.agents.endpoint import EndpointFailedError
from webdojo.agents.pictures import MissingPictureError
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.pool import EnvPool
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.judge import judging
from webdojo.tasks.sampling import make_sampler
from webdojo.tasks.success import is_success
from webdojo.training.episodes import EpisodeId, MakeAgent, run_episode, shown
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.rollouts.episode import EpisodeRequest, in_time
from webdojo.training.rollouts.even_success import EvenSuccess
from webdojo.training.rollouts.held_pictures import HeldPictures, references
from webdojo.training.rollouts.ledger import lives_on
from webdojo.training.rollouts.players import LOOKING, Player, Players, WorkerSettings
from webdojo.training.rollouts.trajectory import Ending, Group, Trajectory

if TYPE_CHECKING:
    from webdojo.agents.agent import Agent
    from webdojo.agents.engines.restarting import RestartingEngine
    from webdojo.agents.engines.vllm_engine import Broadcast, VllmEngine
    from webdojo.tasks.task import Task
    from webdojo.training.config import RolloutConfig
    from webdojo.training.rollouts.pool import RolloutPool

RECENT, RECENT_OF_TASK = 400, 80
"""Episodes over which success is shown, of all tasks and of one."""
ATTEMPTS = 3
"""Times that an episode outside the pool is begun before it is given up."""
MOST_GIVEN_UP = 8
"""Episodes given up in a row after which something must be wrong with more than they."""


class BlockedEpisodeError(Exception):
    """The site would not have the agent: nothing to learn from."""


class UndecidedEpisodeError(Exception):
    """Whoever judges could not be had: nothing to learn from."""


@dataclass
class Worker:
    """Everything that lives in the rollout process."""

    settings: WorkerSettings
    players: Players = field(init=False)
    chromium: Chromium = field(default_factory=Chromium)
    pool: RolloutPool | None = None
    log: TrajectoryLog | None = None
    envs: dict[EnvSpec, EnvPool] = field(default_factory=dict)
    held: HeldPictures | None = None
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    given_up: int = 0
    """Episodes outside the pool that were given up since the last one that ended."""
    undecided: int = 0
    """Episodes outside the pool that nobody judged."""
    tallies: dict[str, deque[bool]] = field(default_factory=dict)
    even: EvenSuccess | None = None

    def __post_init__(self) -> None:
        self.players = Players(self.settings)

    async def open_browser(self) -> int:
        """Start the browser, if it does not run; gives its process id."""
        return await self.chromium.process_id()

    async def keep_screenshots(self, folder: Path) -> None:
        """Keep the screenshots that prompts show in ``folder``, where the learner finds them."""
        self.players.screenshots = folder

    # Episodes outside the pool: demonstrations and evaluation ---------------------------------

    async def play(
        self,
        player: Player,
        episodes: Sequence[EpisodeId],
        temperature: float,
        seed: int,
        noise: float = 0.0,
        in_all: int = 0,
    ) -> AsyncIterator[Trajectory]:
        """Play ``episodes`` and give each trajectory as it ends, in no fixed order.

        An episode whose browser dies, whose screenshot is damaged, or that takes too long, is begun
        again; after ``ATTEMPTS`` it counts as a failure that ended with the ``deadline``. What an
        endpoint that has answered before does not answer is not asked again: ``unanswered``. Raises
        UserError if one episode after another has to be given up; ``in_all`` is how many episodes
        they are, with those that were played before. No deadline runs while an engine loads, or a
        dead one is replaced.
        """
        make_agent = await asyncio.to_thread(self.players.agents, player, temperature, noise)
        modes = make_agent(registry.get(episodes[0].task_id), 0).modes if episodes else ()
        envs = self._envs(player, modes)
        # What demonstrations show is looked at in the warm start.
        hold = self._hold if player == "demonstrator" else _let_go
        queue = iter(episodes)
        most = min(MOST_GIVEN_UP, max(in_all, len(episodes)))
        pending: set[asyncio.Task[Trajectory]] = set()
        done: set[asyncio.Task[Trajectory]] = set()
        try:
            await self._engine_answers()
            while True:
                while len(pending) < self.settings.slots and (which := next(queue, None)):
                    agent_seed = episode_seed(seed, which)
                    episode = self._retried(which, envs, make_agent, agent_seed, most, hold)
                    pending.add(asyncio.create_task(episode))
                if not pending:
                    return
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._check_judged(played := task.result(), most)
                    yield played
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
        ending: Ending = "deadline"
        reason, attempts = "", 0
        for attempts in range(1, ATTEMPTS + 1):
            try:
                if attempts > 1:
                    await self._engine_answers()  # it may have died or hung under the last one
                episode = self._run(which, envs, make_agent, agent_seed, hold=hold)
                found = await in_time(episode, self.settings.deadline_s, self._engine_away_s)
            except (BrowserDiedError, MissingPictureError) as error:
                reason = str(error)
            except EndpointFailedError as error:
                reason, ending = str(error), "unanswered"
                break
            except TimeoutError:
                reason = f"no end within {self.settings.deadline_s:g} s"
            else:
                self.given_up = 0
                return found
        self.given_up += 1
        if self.given_up >= most_given_up:
            raise UserError(
                f"{self.given_up} episodes in a row were given up, after {attempts} attempts each;"
                f" the last was {which.task_id} with seed {which.seed}: {reason}"
                f"{self._way_out() if ending == 'deadline' else ''}"
            )
        return Trajectory(
            which.episode_id, which.task_id, which.seed, which.group_id, which.member, (), 0.0,
            ending, attempts=attempts, message=shown(reason),
        )  # fmt: skip

    def _check_judged(self, played: Trajectory, most: int) -> None:
        self.undecided += played.ending == "undecided"
        if self.undecided >= most and not judging().get("verdicts"):
            raise UserError(
                f"{self.undecided} episodes were judged by nobody, and not one was; the last was"
                f" {played.task_id} with seed {played.seed}: {played.message}"
            )

    def _way_out(self) -> str:
        told = (
            "; see whether its page can be reached, whether `webdojo doctor` finds the browser fit"
        )
        if self.players.running is not None:
            told += f", and whether the engine ({self.settings.engine}) is fast enough"
        return (
            f"{told}; on a busy machine fewer rollout.slots help, with a slow site or policy a"
            " larger rollout.deadline_s"
        )

    async def _engine(self) -> Any:
        """The engine; a model takes long to load, and the learner is to hear of us meanwhile."""
        return await asyncio.to_thread(self.players.engine)

    def _engine_away_s(self) -> float:
        engine = self.players.running
        return engine.away_s if engine is not None else 0.0

    async def _engine_answers(self) -> None:
        """Wait until the engine, if there is one, has loaded its model, or the next one has."""
        engine: Any = self.players.running
        if engine is not None:
            await engine.drawn(lambda serving: serving.checksum())

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
            if self.players.pictures is not None:
                for agent in agents:
                    self.players.pictures.release(getattr(agent, "held", ()))

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

        engine = await self._engine()
        make_agent = self.players.agents("policy", rollout.temperature)
        envs = self._envs("policy", make_agent(registry.get(task_ids[0]), 0).modes)
        sampler = make_sampler(rollout.sampler, task_ids, seeds, seed)
        # A curriculum leaves out what it has not come to, and goes back to what it began with.
        every = {"most": len(task_ids)} if rollout.sampler == "curriculum" else {}
        self.even = even = EvenSuccess(len(task_ids), **every)
        finished = []
        if state is not None:
            even.load_state_dict(state.get("latest", []))
            wanted = lives_on(state)
            finished = [each for each in read_trajectories(log_path) if wanted(each.group_id)]
        self.log = log = TrajectoryLog(log_path)
        if self.players.pictures is not None:
            self.held = held = HeldPictures(self.players.pictures)
            finished = held.resume(finished)

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
            if played.ending == "undecided":
                raise UndecidedEpisodeError(
                    f"{which.task_id} with seed {which.seed} was judged by nobody: {played.message}"
                )
            if played.ending == "blocked":
                raise BlockedEpisodeError(
                    f"{which.task_id} with seed {which.seed} was blocked by its site: take it out"
                    " of tasks.reinforced, or train where the site answers"
                )
            return played

        async def keep(trajectory: Trajectory) -> None:
            log.append(trajectory)
            self.recent.append(is_success(trajectory.reward))
            tally = self.tallies.setdefault(trajectory.task_id, deque(maxlen=RECENT_OF_TASK))
            tally.append(is_success(trajectory.reward))
            even.add(trajectory.task_id, is_success(trajectory.reward))

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
            held_up_s=lambda: engine.away_s,
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
        engine = await self._engine()
        await engine.update_weights(weights, engine.version)

    async def join_learner(self, group: dict[str, Any]) -> None:
        """Have vLLM join the group over which the learner broadcasts weights."""
        engine = cast("RestartingEngine[VllmEngine]", await self._engine())
        await engine.engine.join(group)

    async def publish(self, weights: Path | Broadcast, version: int) -> None:
        """Load new weights between two decode steps, while episodes run."""
        engine = await self._engine()
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
        latest = self.even.state_dict() if self.even is not None else []
        return self.pool.state_dict() | {"latest": latest}

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
        if judged := judging():
            found["judge"] = judged
        if self.players.running is not None:
            counters = self.players.running.counters
            found["engine"] = asdict(counters)
        if self.recent:
            found["recent_success"] = sum(self.recent) / len(self.recent)
        if self.even is not None:
            found["even_success"] = self.even.success
            found["even_episodes"] = self.even.episodes
        found["tasks"] = {task: (len(t), sum(t)) for task, t in self.tallies.items()}
        if self.players.pictures is not None:
            found["images"] = {
                "held": self.players.pictures.held,
                "computed": self.players.pictures.computed,
            }
        if self.pool is not None:
            status = self.pool.status()
            found["pool"] = status.counters.state_dict()
            found["pool"]["idle_share"] = status.counters.idle_share
            found["pool"]["longest_silence_s"] = max(slot.silent_s for slot in status.slots)
            found["running"] = sum(1 for slot in status.slots if slot.task_id)
        return found

    async def judging(self) -> dict[str, float]:
        """What judges have taken so far; empty if none was asked."""
        return judging()

    async def close(self) -> None:
        """Stop everything."""
        await self.stop_pool()
        for envs in self.envs.values():
            await envs.close()
        await self.players.close()
        await self.chromium.close()

    def _envs(self, player: Player, modes: tuple[str, ...]) -> EnvPool:
        spec = EnvSpec(modes=modes, step_timeout_s=self.settings.step_timeout_s)
        if self.players.vision is not None and player in LOOKING:
            # Oracles give places in pixels, whatever a policy does.
            counted: Literal["pixels", "thousandths"] = (
                "pixels" if player == "demonstrator" else "thousandths"
            )
            shot = ScreenshotSpec(marks=self.players.vision.marks)
            spec = replace(spec, screenshot=shot, coordinates=counted)
        if spec not in self.envs:
            self.envs[spec] = EnvPool(self.chromium, spec, self.settings.slots)
        return self.envs[spec]

    def _hold(self, trajectory: Trajectory) -> None:
        if self.players.pictures is not None:
            self.players.pictures.hold(references(trajectory))


def _let_go(trajectory: Trajectory) -> None:
    pass


def episode_seed(seed: int, which: EpisodeId) -> int:
    """Seed of an episode's tokens: a function of the run's seed and the episode alone."""
    from random import Random

    return Random(f"{seed}/{which.episode_id}/{which.task_id}/{which.seed}").getrandbits(31)
