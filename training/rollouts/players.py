"""Who plays in the rollout process: scripted agents, or a policy with engine and screenshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, cast

from webdojo.agents.endpoint import Endpoint, EndpointAgents, find_endpoint, is_endpoint
from webdojo.agents.engines.folders import process_folder
from webdojo.agents.engines.memory import KEPT_SEQUENCES
from webdojo.agents.layouts.layout import Vision
from webdojo.tasks.errors import UserError
from webdojo.training.episodes import (
    MakeAgent,
    PolicyAgents,
    ValidAgents,
    oracle_agent,
    random_agent,
)

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from torch import nn
    from transformers import PreTrainedModel

    from webdojo.agents.checkpoint import Checkpoint
    from webdojo.agents.engines.restarting import RestartingEngine
    from webdojo.agents.engines.transformers_engine import TransformersEngine
    from webdojo.agents.engines.vllm_engine import VllmEngine
    from webdojo.agents.pictures import Pictures

Player = Literal["policy", "valid-policy", "oracle", "random", "demonstrator"]
"""Who plays; ``valid-policy`` is the policy decoding valid actions only."""
LOOKING = ("policy", "valid-policy", "demonstrator")
"""Players whose prompts may show screenshots."""
HANG_S = 600.0
"""Seconds, at most, that vLLM may say nothing while it serves."""


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
    history: int | None = None
    """Earlier steps that prompts tell of; None as for ``vision``."""

    @property
    def step_timeout_s(self) -> float:
        """Real time of a step or a reset: a quarter of an episode's, 15 to 60 s.

        Any environment gives 15 s, and tasks are certified within 60.
        """
        return min(60.0, max(15.0, self.deadline_s / 4))


@dataclass
class Players:
    """Makes agents; the policy's engine is started with the first that needs it."""

    settings: WorkerSettings
    running: RestartingEngine[TransformersEngine] | RestartingEngine[VllmEngine] | None = None
    """The engine, once it was needed."""
    pictures: Pictures | None = None
    vision: Vision | None = None
    """What the policy's prompts show of how pages look, once it was looked up."""
    screenshots: Path | None = None
    """Folder in which they are kept; None for one that goes with the process."""
    _own_folder: TemporaryDirectory[str] | None = field(default=None, repr=False)
    _endpoint: Endpoint | None = field(default=None, repr=False)
    _starting: Lock = field(default_factory=Lock, repr=False, compare=False)

    def agents(self, player: Player, temperature: float, noise: float = 0.0) -> MakeAgent:
        """What makes the agents of this player; ``noise`` is a demonstrator's."""
        if player == "oracle":
            return oracle_agent
        if player == "random":
            return random_agent
        from webdojo.training.demonstrations import Demonstrators

        settings = self.settings
        if is_endpoint(settings.checkpoint):
            self.vision = settings.vision
            if self._endpoint is None:
                self._endpoint = find_endpoint(settings.checkpoint)
            return EndpointAgents(
                self._endpoint,
                settings.layout,
                settings.max_response_tokens,
                temperature,
                self.vision,
                settings.history,
            )
        found = self._checkpoint()
        limits = (settings.context_tokens, settings.max_response_tokens)
        if player == "demonstrator":
            return Demonstrators(found.tokenizer(), found.layout, *limits, noise, self.pictures)
        engine = self.engine()
        free = PolicyAgents(
            engine, found.tokenizer(), found.layout, *limits, temperature, self.pictures
        )
        if player != "valid-policy":
            return free
        if settings.engine != "transformers":
            raise UserError('only policy.engine = "transformers" can be held to valid actions')
        return ValidAgents(free, cast("RestartingEngine[TransformersEngine]", engine))

    def engine(self) -> RestartingEngine[TransformersEngine] | RestartingEngine[VllmEngine]:
        """The policy's engine, started now if it does not run; any thread may ask for it."""
        with self._starting:
            if self.running is None:
                self.running = self._started()
            return self.running

    async def close(self) -> None:
        """Stop the engine, and let go of screenshots that nobody else keeps."""
        if self.running is not None:
            await self.running.close()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    def _started(self) -> RestartingEngine[TransformersEngine] | RestartingEngine[VllmEngine]:
        from webdojo.agents.engines.restarting import RestartingEngine

        found = self._checkpoint()
        if self.settings.engine == "vllm":
            # What came over NCCL is nowhere to be had again.
            deaths = 3 if self.settings.weight_transfer == "file" else 0
            return RestartingEngine(partial(self._vllm, found.path), deaths=deaths)
        return RestartingEngine(partial(self._transformers, found))

    def _checkpoint(self) -> Checkpoint:
        """The policy's; sets what its prompts show, and where screenshots are kept."""
        from webdojo.agents.checkpoint import find_checkpoint

        settings = self.settings
        found = find_checkpoint(
            settings.checkpoint, settings.layout, settings.vision, settings.history
        )
        self.vision = found.layout.vision
        if self.vision is not None and self.pictures is None:
            if self.screenshots is None:
                self._own_folder = process_folder("screenshots")
                self.screenshots = Path(self._own_folder.name)
            self.pictures = found.pictures(self.screenshots)
        return found

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
            # It speaks after every decode step, and one that takes longer loses every episode.
            hang_s=min(HANG_S, 2 * settings.deadline_s),
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
