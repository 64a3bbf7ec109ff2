"""The configuration of a run: typed, readable without torch, and refused where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from webdojo.agents.layouts.layout import MOST_HISTORY, Vision
from webdojo.tasks.sampling import Sampling
from webdojo.tasks.splits import HELD_OUT_SEEDS, TRAIN_SEEDS
from webdojo.training.conflicts import ConflictError
from webdojo.training.learner_config import MOST_EPOCHS, MOST_LR, LearnerSettings
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.section import Section

TRAINED_ON = ("demonstrated", "reinforced")
"""What is trained on, of the parts that tasks play."""
MANIFEST = ".toml"
"""How the name of a split's manifest ends."""
ALL_SEEDS = (TRAIN_SEEDS.start, TRAIN_SEEDS.stop)
MOST_SLOTS, MOST_THREADS = 100_000, 1024
"""More than any machine runs: a slip of the pen."""
MOST_EPISODES, MOST_UPDATES = 1_000_000, 999_999
"""More than any run comes to, likewise; checkpoints count updates in six digits."""
A_WEEK = 7 * 86_400
LONGEST_NAME = 60
"""Characters, of at most 4 bytes each: file systems take 255 bytes."""


TaskFile = Annotated[Path, Field(strict=False)]


class ScreenshotsConfig(Section):
    """What prompts show of how pages look; mouse actions then count from 0 to 1000."""

    images: int = Field(1, gt=0)
    """Screenshots of the last so many steps, the present page's among them; of steps in a row
    whose pages look the same only the last is shown."""
    marks: bool = False
    """Whether elements that can be acted on are framed and numbered (set of marks)."""
    text: bool = True
    """Whether the page's HTML is there too."""


class PolicyConfig(Section):
    """The policy that is trained."""

    checkpoint: str = "webdojo-nano"
    """A shipped policy, a checkpoint folder, or a model hub's owner/name. A folder that a TOML file
    names is looked for beside it first, then where the command is given."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What draws the policy's responses."""
    weight_transfer: Literal["file", "nccl"] = "file"
    """How new weights get to the engine: through a file in shared memory, or with vLLM over NCCL
    from the learner's GPU to the engine's."""
    layout: (
        Literal["outline", "chat", "chat-progress", "chat-memory", "chat-compressive"] | None
    ) = None
    """Prompt layout; left out, the checkpoint's own."""
    screenshots: ScreenshotsConfig | None = Field(None, examples=[{"images": 3}])
    """For a policy that sees; left out, the checkpoint's own, which may be none."""
    history: int | None = Field(None, ge=0, le=MOST_HISTORY, examples=[8])
    """Earlier steps that a chat prompt tells of; left out, as many as the checkpoint's own, or 8.
    Notes and progress are kept from steps before them too."""
    context_tokens: int = Field(1024, gt=0)
    """Longest prompt and response together."""
    max_response_tokens: int = Field(48, gt=0)
    """Longest response of one turn; the prompt has the rest of ``context_tokens``."""

    @property
    def vision(self) -> Vision | None:
        """The screenshots as a layout takes them."""
        return Vision(**self.screenshots.model_dump()) if self.screenshots is not None else None

    @model_validator(mode="after")
    def _nccl_is_vllms(self) -> PolicyConfig:
        if self.weight_transfer == "nccl" and self.engine != "vllm":
            raise ConflictError(
                f'weight_transfer = "nccl" is vLLM\'s, and engine is {self.engine!r}; take one out',
                {"weight_transfer": self.weight_transfer, "engine": self.engine},
            )
        return self

    @model_validator(mode="after")
    def _room_for_a_prompt(self) -> PolicyConfig:
        if self.max_response_tokens >= self.context_tokens:
            raise ConflictError(
                f"max_response_tokens={self.max_response_tokens} leaves no room for a prompt in"
                f" context_tokens={self.context_tokens}; lower the one or raise the other",
                {
                    "max_response_tokens": self.max_response_tokens,
                    "context_tokens": self.context_tokens,
                },
            )
        return self


class TasksConfig(Section):
    """Which tasks play which part.

    Names are task ids, whole suites, splits' tasks, or those of a split's manifest of one's own,
    ``my-split.toml``; in a TOML file, files are relative to its folder.
    """

    files: tuple[TaskFile, ...] = Field((), strict=False, examples=[("my_tasks.py",)])
    """Files that define tasks of the user's own."""
    demonstrated: tuple[str, ...] = Field((), strict=False, examples=[("miniwob.click-button",)])
    """Tasks whose oracles are recorded for the warm start."""
    reinforced: tuple[str, ...] = Field((), strict=False, examples=[("miniwob-train",)])
    """Tasks trained by reinforcement; those not demonstrated are learned from reward alone."""
    unseen: tuple[str, ...] = Field((), strict=False, examples=[("miniwob-test",)])
    """Tasks in neither, only evaluated. If a held-out split is named, training keeps away from
    whatever is new in it: its similarity groups, say."""
    held_out: tuple[str, ...] = Field((), strict=False, examples=[("miniwob-test",)])
    """Held-out splits from which training keeps away in the same way, and which are not played."""
    seeds: tuple[int, int] = Field(ALL_SEEDS, strict=False, examples=[(0, 1000)])
    """First seed that is trained on, and the one after the last. A split that is trained on brings
    its own."""

    @field_validator("seeds")
    @classmethod
    def _are_for_training(cls, seeds: tuple[int, int]) -> tuple[int, int]:
        first, end = seeds
        if not 0 <= first < end <= TRAIN_SEEDS.stop:
            raise ValueError(f"give [first, end] with 0 ≤ first < end ≤ {TRAIN_SEEDS.stop}")
        return seeds

    @model_validator(mode="after")
    def _unseen_is_unseen(self) -> TasksConfig:
        both = set(self.unseen) & {*self.demonstrated, *self.reinforced}
        if both:
            name = min(both)
            holders = (f for f in (*TRAINED_ON, "unseen") if name in getattr(self, f))
            raise ConflictError(
                f"{name} is both trained on and listed as unseen; take one out",
                {field: getattr(self, field) for field in holders},
            )
        return self


class WarmStartConfig(Section):
    """Demonstrations and supervised training on them."""

    episodes_per_task: int = Field(150, ge=0, le=MOST_EPISODES)
    """Oracle episodes recorded for each demonstrated task; 0 skips the warm start."""
    epochs: int = Field(2, gt=0, le=MOST_EPOCHS)
    """Passes over all demonstrations."""
    batch_tokens: int = Field(4096, gt=0)
    """Tokens of one optimiser step."""
    lr: float = Field(1e-3, gt=0, le=MOST_LR)
    """Peak learning rate of these steps; it falls to 0 as a cosine, and ``learner.lr`` is that of
    reinforcement. AdamW's ``betas`` are 0.9 and 0.95 here."""
    action_noise: float = Field(0.0, ge=0, lt=1)
    """Share of recorded answers that are about a random element instead: keeps the policy
    exploring."""


class RolloutConfig(Section):
    """How experience is gathered."""

    slots: int = Field(16, gt=0, le=MOST_SLOTS)
    """Episodes that run at once."""
    group_size: int = Field(8, gt=1, le=MOST_SLOTS)
    """Episodes of the same task and seed, whose rewards are compared with one another."""
    groups_per_batch: int = Field(6, gt=0, le=MOST_SLOTS)
    """Groups whose rewards differ that make one update."""
    staleness: int = Field(2, ge=0)
    """Versions that the oldest token may lie behind the learner; 0 is synchronous training."""
    collection: Literal["completion", "submission"] = "completion"
    """Which finished groups make a batch: whichever are finished, those with the oldest tokens
    first; or the next ones in the order in which they were begun, which waits for stragglers."""
    sampler: Sampling = "uniform"
    """How tasks are drawn: every task equally often, every difficulty equally often, what is half
    learned most (adaptive), or short tasks before long ones (curriculum)."""
    temperature: float = Field(1.0, ge=0.01, le=100)
    """Of the draws of reinforcement; a sampled evaluation draws at 1 whatever it is."""
    deadline_s: float = Field(60.0, ge=1, le=A_WEEK)
    """Real time after which an episode is given up and run again, but for that in which a dead
    engine is replaced. A step or a reset may take a quarter of it, 15 s at least and 60 at most."""
    retries: int = Field(2, ge=0)
    """How often an episode that fails or runs out of time is run again before its whole group is
    replaced."""
    rounds: int = Field(1, gt=0, le=1000)
    """Rounds of ``group_size`` episodes that a group may take until it holds both outcomes in equal
    parts (Reinforce-Ada, which takes 4); the rest of what was drawn is not trained on."""
    engine_threads: int = Field(1, gt=0, le=MOST_THREADS)
    """Processor threads that the engine computes with."""
    deterministic: bool = False
    """Whether the whole course repeats bit for bit, through kills too: the engine then draws one
    response at a time and keeps no prefixes. Needs ``staleness = 0`` and submission order."""

    @model_validator(mode="after")
    def _deterministic_is_synchronous(self) -> RolloutConfig:
        if self.deterministic and (self.staleness or self.collection != "submission"):
            raise ConflictError(
                'deterministic needs staleness = 0 and collection = "submission"',
                {
                    "deterministic": True,
                    "staleness": self.staleness,
                    "collection": self.collection,
                },
            )
        return self


class ReinforceConfig(Section):
    """How long reinforcement goes on."""

    updates: int = Field(60, ge=0, le=MOST_UPDATES)
    """Batches of groups that are trained on, unless ``max_minutes`` are over before; 0 trains by
    the warm start alone."""
    max_minutes: float = Field(60.0, gt=0)
    """Minutes of reinforcement, a run's resumptions together; it stops at the next update after
    them, whatever ``updates`` says."""
    checkpoint_every: int = Field(10, gt=0)
    """Updates between checkpoints."""
    keep_last: int = Field(2, gt=0)
    """Checkpoints to go on from that are kept."""
    keep_best: bool = True
    """Whether the policy of the checkpoint with the highest recent success is kept, as ``best``."""
    learner_threads: int = Field(1, gt=0, le=MOST_THREADS)
    """Processor threads that each learner process computes with."""


class EvaluationConfig(Section):
    """What is measured before and after."""

    episodes_per_task: int = Field(40, ge=0, le=MOST_EPISODES)
    """Held-out seeds of each task, played once greedy and once sampled; 0 skips evaluation."""
    seed_offset: int = Field(0, ge=0, le=len(HELD_OUT_SEEDS) - MOST_EPISODES)
    """Moves the held-out seeds; choose settings on other seeds than those that are reported."""


class TrainConfig(Section):
    """A whole run."""

    name: str = Field(
        "run",
        pattern=r"^[A-Za-z0-9][\w.-]*$",
        max_length=LONGEST_NAME,
        title=f"letters, digits, dots, dashes and underscores, at most {LONGEST_NAME}, the first a"
        " letter or digit",
    )
    """Name of the run's folder under ``runs/``; left out, that of the TOML file, with dashes for
    what a name may not hold."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of everything that is drawn at random: tasks and their seeds, mini-batches, torch."""
    loggers: tuple[Literal["trackio", "wandb"], ...] = Field(
        (), strict=False, examples=[("wandb",)]
    )
    """Where figures go besides ``metrics.jsonl`` and TensorBoard; each is a package of its own."""
    policy: PolicyConfig = PolicyConfig()
    tasks: TasksConfig = TasksConfig()
    warm_start: WarmStartConfig = WarmStartConfig()
    rollout: RolloutConfig = RolloutConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    learner: LearnerSettings = LearnerSettings()
    reinforce: ReinforceConfig = ReinforceConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _rate_lasts(self) -> TrainConfig:
        learner, updates = self.learner, self.reinforce.updates
        if learner.schedule != "cosine" or not updates:
            return self
        steps = learner.total_steps
        if steps is None:
            if updates <= learner.warmup_steps:
                raise ConflictError(
                    "a cosine schedule reaches its end with the last update:"
                    f" reinforce.updates={updates} leaves nothing after"
                    f" learner.warmup_steps={learner.warmup_steps}; raise the first or lower the"
                    " second",
                    {
                        "learner.schedule": learner.schedule,
                        "reinforce.updates": updates,
                        "learner.warmup_steps": learner.warmup_steps,
                    },
                )
        elif steps < updates and not learner.final_lr_ratio:
            raise ConflictError(
                f"the learning rate would be 0 after step {steps}: reinforce.updates={updates},"
                f" and learner.total_steps={steps}; raise the second, or give"
                " learner.final_lr_ratio a value",
                {
                    "learner.schedule": learner.schedule,
                    "reinforce.updates": updates,
                    "learner.total_steps": steps,
                },
            )
        return self

    @model_validator(mode="after")
    def _objective_knows_its_run(self) -> TrainConfig:
        whole = self.objective.within(self.policy.max_response_tokens)
        object.__setattr__(self, "objective", whole)
        return self

    @property
    def undemonstrated(self) -> tuple[str, ...]:
        """Reinforced tasks that no demonstration shows."""
        shown = set(self.tasks.demonstrated)
        return tuple(task for task in self.tasks.reinforced if task not in shown)
