"""The process that vLLM runs in: started by ``vllm_connection.py``, which it talks to over a pipe.

It imports nothing of WebDojo but ``adapters.py``, ``unchanged.py`` and ``vllm_transfer.py`` beside
it, so that vLLM may live in another environment than the trainer. One loop takes requests in, steps
vLLM, and loads weights between two steps: a refresh stops nothing and drops nothing, and vLLM
labels each token with the version that drew it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from vllm import EngineArgs, SamplingParams
from vllm.config.weight_transfer import WeightTransferConfig
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine

T = TypeVar("T")
BACKEND = "webdojo-safetensors"
PREFILL_TOKENS = 4096
"""Prompt tokens of one step on a CPU."""
PICTURE_CACHE_GIB = 1
"""Pixels that are kept, in GiB."""
WORD_S = 0.5
"""Seconds after which a word is due while weights are loaded."""


def main(descriptor: int) -> None:
    """Serve the pipe of that file descriptor until the other side hangs up."""
    connection = Connection(descriptor)
    server = Server(connection, connection.recv())
    connection.send(("ready",))
    server.serve()


@dataclass
class Drawing:
    """A response being drawn."""

    prompt_tokens: int
    asked: dict[str, Any] | None
    """What vLLM was asked, until it has drawn a token."""
    parameters: SamplingParams
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def greedy(self) -> bool:
        """Whether each token is the most likely one."""
        return bool(self.parameters.temperature == 0)


class MissingPictureError(LookupError):
    """A screenshot that a prompt shows is gone, or is no longer what its name says."""


class Server:
    """vLLM and the requests that it is answering."""

    def __init__(self, connection: Connection, settings: dict[str, Any]) -> None:
        self._connection = connection
        self._eos: list[int] = settings["eos"]
        self._banned: list[int] = settings["banned"]
        self._placeholder: int | None = settings["placeholder"]
        self._screenshots = Path(settings["screenshots"])
        gpu = torch.cuda.is_available()
        self._own_transfer: bool = settings["transfer"] == "file"
        WeightTransferEngineFactory.register_engine(
            BACKEND, _beside("vllm_transfer").SafetensorsTransfer
        )
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=settings["model"],
                skip_tokenizer_init=self._placeholder is None,
                dtype=settings["dtype"],
                max_model_len=settings["context"],
                max_num_seqs=settings["slots"],
                gpu_memory_utilization=settings["gpu_share"],
                enable_prefix_caching=True,
                logprobs_mode="processed_logprobs",
                generation_config="vllm",
                # A step that is planned before the last one's tokens are known would be drawn with
                # weights of which its label knows nothing.
                async_scheduling=False,
                enforce_eager=not gpu,
                # Of a prompt read in parts vLLM takes back the draws made between them, which a
                # CPU's random numbers do not allow.
                enable_chunked_prefill=gpu,
                max_num_batched_tokens=None if gpu else max(settings["context"], PREFILL_TOKENS),
                weight_transfer_config=WeightTransferConfig(
                    backend=BACKEND if self._own_transfer else "nccl"
                ),
                limit_mm_per_prompt={"image": settings["images"], "video": 0},
                mm_processor_cache_gb=PICTURE_CACHE_GIB,
                disable_log_stats=True,
            )
        )
        if self._own_transfer:
            self._join_group({})
        self._engine.set_weight_version(str(settings["version"]))
        self._swaps = 0
        self._unsound = False
        self._drawing: dict[str, Drawing] = {}
        self._counters: list[float] = [0, 0, 0, 0, 0.0]
        self._told_at = 0.0

    def serve(self) -> None:
        """Take in what has arrived, then draw a token for each; until told to end."""
        while self._take_in():
            outputs = self._engine.step()
            self._counters[1] += 1
            for output in outputs:
                self._progress(output)
            self._tell()

    def _take_in(self) -> bool:
        while not self._engine.has_unfinished_requests() or self._connection.poll():
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                return False
            if message is None:
                return False
            getattr(self, f"_{message[0]}")(*message[1:])
        return True

    # What can be asked for ---------------------------------------------------------------------

    def _generate(
        self,
        number: int,
        prompt: list[int],
        temperature: float,
        limit: int,
        seed: int,
        images: Sequence[tuple[str, tuple[int, int]]],
    ) -> None:
        key = str(number)
        parameters = SamplingParams(
            temperature=temperature,
            max_tokens=limit,
            seed=seed,
            logprobs=0,
            stop_token_ids=self._eos,
            ignore_eos=True,
            logit_bias=dict.fromkeys(self._banned, -math.inf) or None,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        asked: dict[str, Any] = {"prompt_token_ids": prompt}
        try:
            if images:
                asked["prompt_token_ids"] = _folded(prompt, self._placeholder)
                asked["multi_modal_data"] = {"image": [self._picture(*each) for each in images]}
                asked["multi_modal_uuids"] = {"image": [reference for reference, _ in images]}
        except MissingPictureError as error:
            self._connection.send(("missing", number, str(error)))
            return
        self._drawing[key] = Drawing(len(prompt), asked, parameters)
        self._begin(key)

    def _begin(self, key: str) -> None:
        """Have vLLM draw a response that nothing has been drawn of."""
        drawing = self._drawing[key]
        # What other weights computed is never shared: the salt is part of a block's name.
        asked = {**(drawing.asked or {}), "cache_salt": str(self._swaps)}
        try:
            self._engine.add_request(key, asked, drawing.parameters)
        except Exception as error:  # noqa: BLE001  # reported to the caller whose request it is
            del self._drawing[key]
            # vLLM may take its images for known though they did not get as far as that.
            self._engine.reset_mm_cache()
            self._connection.send(("failed", int(key), f"{type(error).__name__}: {error}"))

    def _picture(self, reference: str, size: tuple[int, int]) -> Any:
        """A screenshot in the size that the model takes, resized as the learner resizes it.

        It must be what its name says, as vLLM keeps it under that name for later prompts. Raises
        MissingPictureError.
        """
        from PIL import Image

        file = self._screenshots / reference
        try:
            image = file.read_bytes()
        except OSError as error:
            raise MissingPictureError(f"screenshot {file} cannot be read: {error}") from None
        if not sha256(image).hexdigest().startswith(reference):
            raise MissingPictureError(
                f"screenshot {file} is damaged: its name is not its content's"
            )
        try:
            with Image.open(BytesIO(image)) as opened:
                return opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise MissingPictureError(f"screenshot {file} is no image: {error}") from None

    def _cancel(self, number: int) -> None:
        if self._drawing.pop(str(number), None) is not None:
            self._engine.abort_request([str(number)])
        self._tell()

    def _update(
        self,
        number: int,
        updates: list[dict[str, Any]],
        seen: dict[str, tuple[int, ...]],
        version: int,
    ) -> None:
        """Load new weights; running responses go on under them over the keys that they have.

        Those that have no token yet are begun anew. Nothing is loaded before all files are read
        and known to be as they were ``seen``.
        """
        began = time.perf_counter()
        watched = _beside("unchanged").Unchanged([], seen)
        try:
            found = [self._read(each) if "file" in each else each for each in updates]
            watched.check()
        except (OSError, ValueError) as error:
            self._connection.send(("refused", number, str(error)))
            return
        rpc = self._engine.collective_rpc
        rpc("start_weight_update")
        for update in found:
            if self._own_transfer or "weights" not in update:
                rpc("update_weights", kwargs={"update_info": update})
            else:  # a checkpoint, where other weights come over NCCL
                transfer = _beside("vllm_transfer")
                info = transfer.UpdateInfo(**update)
                self._engine.apply_model(partial(transfer.load_into, info))
        rpc("finish_weight_update")
        if self._unsound:
            rpc(_without_nan)
            self._unsound = False
        if any(each.get("adapters") for each in updates):
            watched.check()  # their base is mapped: if it was not what it was, nothing may be drawn
        self._engine.set_weight_version(str(version))
        self._swaps += 1
        # They would find their prompts read by the old weights, and be labelled with the new ones.
        unbegun = [key for key, drawing in self._drawing.items() if not drawing.token_ids]
        self._engine.abort_request(unbegun)
        # Pictures as the old weights saw them.
        self._engine.reset_encoder_cache()
        for key in unbegun:
            self._begin(key)
        self._counters[4] += time.perf_counter() - began
        self._tell()
        self._connection.send(("answer", number, version))

    def _join(self, number: int, group: dict[str, Any]) -> None:
        self._join_group(group)
        self._connection.send(("answer", number, None))

    def _join_group(self, group: dict[str, Any]) -> None:
        self._engine.collective_rpc("init_weight_transfer_engine", kwargs={"init_info": group})

    def _checksum(self, number: int) -> None:
        self._connection.send(
            ("answer", number, sum(self._engine.apply_model(_beside("vllm_transfer").checksum)))
        )

    # ------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell of what has been done, which is a word too: it does not hang."""
        self._connection.send(("counters", tuple(self._counters)))
        self._told_at = time.monotonic()

    def _read(self, update: dict[str, Any]) -> dict[str, Any]:
        found = read(**update)
        self._tell()
        return {"weights": self._telling(found["weights"])}

    def _telling(self, weights: Iterable[T]) -> Iterator[T]:
        """The same, with a word now and then: many GiB may take long."""
        for each in weights:
            if time.monotonic() - self._told_at > WORD_S:
                self._tell()
            yield each

    def _progress(self, output: Any) -> None:
        drawing = self._drawing.get(output.request_id)
        if drawing is None:
            return  # cancelled
        given = output.outputs[0]
        drawing.token_ids += given.token_ids
        if drawing.token_ids:
            drawing.asked = None  # its images are not needed any more
        for token, logprobs in zip(given.token_ids, given.logprobs or (), strict=True):
            drawing.logprobs.append(0.0 if drawing.greedy else logprobs[token].logprob)
            if not math.isfinite(logprobs[token].logprob):
                self._not_finite(output.request_id)
                return
        self._counters[0] += len(given.token_ids)
        if not output.finished:
            return
        del self._drawing[output.request_id]
        shared = output.num_cached_tokens or 0
        self._counters[2] += drawing.prompt_tokens - shared
        self._counters[3] += shared
        versions = [
            int(span.version) for span in given.weight_versions for _ in range(span.start, span.end)
        ]
        finished = drawing.token_ids[-1] in self._eos
        answer = (drawing.token_ids, drawing.logprobs, versions, finished)
        self._tell()  # whoever has an answer finds it counted
        self._connection.send(("answer", int(output.request_id), answer))

    def _not_finite(self, key: str) -> None:
        self._unsound = True
        del self._drawing[key]
        self._engine.abort_request([key])
        version = self._engine.get_weight_version()
        self._connection.send(("not_finite", int(key), version))


def read(file: str, mapped: bool, adapters: str | None = None) -> dict[str, Any]:
    """The update of a file, which is mapped or copied, with adapters merged in if they are given.

    Raises ValueError if it is damaged.
    """
    try:
        weights = load_file(file) if mapped else load(Path(file).read_bytes())
        added = _beside("adapters").read_adapters(Path(adapters)) if adapters else None
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}); write the checkpoint anew") from error
    return {"weights": weights.items() if added is None else added.merged(weights)}


def _without_nan(worker: Any) -> None:
    """Leave nothing but finite keys and values in vLLM's cache.

    Behind its end a sequence may have in its last block what another one left there, and what hides
    that from it does not hide NaN.
    """
    with torch.inference_mode():
        for cache in worker.model_runner.kv_caches:
            cache.nan_to_num_(0, 0, 0)


def _beside(name: str) -> Any:
    """The module in the file of that name beside this one."""
    whole = f"webdojo_{name}"
    if whole not in sys.modules:
        spec = spec_from_file_location(whole, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[whole] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[whole]


def _folded(prompt: Sequence[int], placeholder: int | None) -> list[int]:
    """One placeholder an image, which is what vLLM unfolds itself."""
    return [
        token
        for place, token in enumerate(prompt)
        if token != placeholder or place == 0 or prompt[place - 1] != placeholder
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]))
