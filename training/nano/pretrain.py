"""Pre-training of ``webdojo-nano``, the small policy that ships with the project.

    python -m webdojo.training.nano.pretrain --out agents/nano --steps 2600

Everything comes from generated pages (``pages.py``); no MiniWoB++ page and no oracle is used.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Full
from random import Random
from typing import TYPE_CHECKING, Any

from webdojo.agents.checkpoint import Checkpoint
from webdojo.agents.layouts.layout import get_layout
from webdojo.training.nano import pages
from webdojo.training.nano.tokenizer import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from webdojo.training.packed_batch import PackedBatch


@dataclass(frozen=True)
class PretrainConfig:
    """What is trained, on how much, and how."""

    out: Path
    steps: int = 2600
    batch_tokens: int = 4096
    """Tokens read in one step, shared pages counted once."""
    seed: int = 0
    threads: int = 1
    workers: int = 1
    """Processes that make batches."""
    noise: float = 0.1
    """Share of answers about a random element."""
    copying: float = 0.05
    """Share of the steps over which pages that are only quoted give way to pages with goals."""
    repeat_steps: int = 450
    """Steps on random repetitions before the first page."""
    small_pages: float = 0.2
    """Share of the steps over which pages grow from the smallest to the full range."""
    vocabulary: int = 1536
    context: int = 1024
    hidden: int = 128
    layers: int = 5
    heads: int = 4
    intermediate: int = 320
    lr_matrices: float = 0.02
    """Muon's, for the weight matrices inside the layers."""
    lr_rest: float = 3e-3
    """AdamW's, for embeddings and norms."""
    save_every: int = 1000


def main() -> None:
    """Train, saving a resumable checkpoint and the policy itself every so often."""
    config = _parse()
    config.out.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(config)
    model = _model(config, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens")
    _train(config, model, tokenizer)


def _train(
    config: PretrainConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    import torch

    from webdojo.training.packed_batch import response_logprobs

    torch.set_num_threads(config.threads)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.lr_matrices, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=config.lr_rest, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    base = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    state_file = config.out / "pretrain_state.pt"
    first = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        first = state["step"]
        print(f"resuming at step {first}")
    held_out = _held_out(config, tokenizer)
    if not first:
        _learn_to_repeat(config, model, optimizers, base)
    started, seen, trained = time.monotonic(), 0, 0
    running = 0.0
    for step, batches in enumerate(_stream(config, first), start=first):
        if step >= config.steps:
            break
        for optimizer, lr in zip(optimizers, base, strict=True):
            optimizer.param_groups[0]["lr"] = lr * _schedule(step, config.steps)
        tokens = sum(batch.tokens for batch in batches)
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = -response_logprobs(model, batch).sum() / tokens
            torch.autograd.backward(loss)
            running += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen += sum(batch.input_ids.numel() for batch in batches)
        trained += tokens
        if (step + 1) % 50 == 0:
            elapsed = time.monotonic() - started
            left = elapsed / (step + 1 - first) * (config.steps - step - 1)
            print(
                f"step {step + 1} loss {running / 50:.3f} {seen / elapsed:,.0f} tokens/s read"
                f" {trained / elapsed:,.0f} answered, {left / 60:.0f} min left",
                flush=True,
            )
            running = 0.0
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            exact = _exact(model, held_out)
            print(f"step {step + 1} exact answers on held-out pages: {exact:.3f}", flush=True)
            _save(config, model, tokenizer, optimizers, step + 1, exact)


def _learn_to_repeat(
    config: PretrainConfig,
    model: PreTrainedModel,
    optimizers: list[torch.optim.Optimizer],
    base: list[float],
) -> None:
    """Random tokens, then the same again: every token of the second half is a lesson in copying.

    On pages alone copying is learned very late, because few of their tokens call for it.
    """
    import torch

    draw = torch.Generator().manual_seed(config.seed)
    vocabulary = model.config.vocab_size
    for step in range(config.repeat_steps):
        for optimizer, lr in zip(optimizers, base, strict=True):
            optimizer.param_groups[0]["lr"] = lr * min(1.0, (step + 1) / 30)
        # The length changes, or a fixed distance would be learned instead.
        length = 6 + step * 7 % 18
        ids = torch.randint(vocabulary, (64, length), generator=draw).repeat(1, 2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids).logits[:, length:-1].float()
        targets = ids[:, length + 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        torch.autograd.backward(loss)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            right = (logits.argmax(-1) == targets).float().mean()
            print(f"repeating, step {step + 1}: {float(right):.2f} right", flush=True)


def _look_back(model: PreTrainedModel, head_size: int) -> None:
    """Let the first head of the first layer attend to the token before, from the start.

    With rotary positions, constant queries and keys (biases) give a score that depends on distance
    alone; turning the query by one position puts its peak at distance one. Copying is built on such
    a head, and finding it is what takes long (Olsson et al., 2022, arXiv 2209.11895).
    """
    import torch

    half = head_size // 2
    frequencies = 10_000.0 ** (-torch.arange(half) / half)
    strength, used = 5.5, 6
    query, key = torch.zeros(head_size), torch.zeros(head_size)
    query[:used] = strength * torch.cos(frequencies[:used])
    query[half : half + used] = -strength * torch.sin(frequencies[:used])
    key[:used] = strength
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        for projection, bias in ((attention.q_proj, query), (attention.k_proj, key)):
            projection.weight[:head_size] = 0
            projection.bias[:head_size] = bias


def _schedule(step: int, steps: int) -> float:
    """Short warm-up, flat, then linear decay over the second half."""
    return min(1.0, (step + 1) / 100, 2.0 * (1.0 - step / steps))


def _exact(model: PreTrainedModel, held_out: list[PackedBatch]) -> float:
    """Share of answers whose every token is the most likely one: what greedy decoding gives."""
    import torch

    right = total = 0
    with torch.inference_mode():
        for batch in held_out:
            logits = model(
                input_ids=batch.input_ids,
                position_ids=batch.position_ids,
                attention_mask=batch.attention_mask,
                use_cache=False,
            ).logits.flatten(0, 1)[batch.predictors]
            wrong = logits.argmax(-1) != batch.targets
            rows = torch.unique(batch.token_rows)
            right += len(rows) - len(torch.unique(batch.token_rows[wrong]))
            total += len(rows)
    return right / total


def _save(
    config: PretrainConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    optimizers: list[torch.optim.Optimizer],
    step: int,
    exact: float,
) -> None:
    import torch

    Checkpoint(str(config.out), get_layout("outline")).write(model, tokenizer, config.out)
    record = {"step": step, "exact_held_out": exact, **asdict(config), "out": config.out.name}
    (config.out / "pretraining.json").write_text(json.dumps(record, indent=1) + "\n")
    partial = config.out / "pretrain_state.partial"
    torch.save(
        {
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in optimizers],
            "step": step,
        },
        partial,
    )
    partial.replace(config.out / "pretrain_state.pt")


def _tokenizer(config: PretrainConfig) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    if (config.out / "tokenizer.json").exists():
        found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(config.out)
        return found
    rng = Random(f"tokenizer {config.seed}")
    texts = (e.prompt + e.response for _ in range(12_000) for e in pages.examples(rng, 2))
    tokenizer = train_tokenizer(texts, config.vocabulary, config.context)
    tokenizer.save_pretrained(config.out)
    return tokenizer


def _model(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(config.seed)
    model: PreTrainedModel = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden,
            intermediate_size=config.intermediate,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            use_sliding_window=False,
            initializer_range=0.6 / config.hidden**0.5,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    _look_back(model, config.hidden // config.heads)
    model.train()
    return model


def _stream(config: PretrainConfig, first: int) -> Iterator[list[PackedBatch]]:
    """Batches for one step after another, made in worker processes, in a fixed order."""
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(maxsize=8) for _ in range(config.workers)]
    processes = [
        context.Process(target=_make, args=(config, first + i, queue), daemon=True)
        for i, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    try:
        while True:
            for queue in queues:
                yield queue.get(timeout=300)
    finally:
        for process in processes:
            process.terminate()


def _make(config: PretrainConfig, first: int, queue: Any) -> None:
    import torch
    from transformers import PreTrainedTokenizerFast

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None
    tokenizer = PreTrainedTokenizerFast.from_pretrained(config.out)
    for step in range(first, config.steps, config.workers):
        rng = Random(f"step {config.seed} {step}")
        # Quoting first, then small pages: there a policy finds out how answers are made.
        size = min(1.0, step / (config.small_pages * config.steps))
        copying = max(0.05, 1.0 - step / (config.copying * config.steps))
        batches = _batches(config, tokenizer, rng, config.noise, size, copying)
        while True:
            try:
                queue.put(batches, timeout=10)
                break
            except Full:
                if not parent.is_alive():
                    return
    # Tensors are handed over when they are taken: leaving earlier would take the last ones along.
    parent.join()


def _batches(
    config: PretrainConfig,
    tokenizer: PreTrainedTokenizerFast,
    rng: Random,
    noise: float,
    size: float,
    copying: float = 0.0,
) -> list[PackedBatch]:
    from webdojo.training.packing import Row, pack

    rows: list[Row] = []
    # A row costs what it adds to its page; pages are drawn until the step is full.
    budget = config.batch_tokens
    while budget > 0:
        if rng.random() < copying:
            found = [pages.copying(rng, max(size, 0.3)) for _ in range(3)]
        else:
            found = pages.examples(rng, 6, noise, size)
        encoded = tokenizer([text for e in found for text in (e.prompt, e.response)])["input_ids"]
        for prompt, response in zip(encoded[::2], encoded[1::2], strict=True):
            rows.append(Row.of(prompt, response))
        budget -= len(encoded[0]) + sum(60 for _ in found)
    return pack(rows, max_tokens=config.batch_tokens // 2, sequence_tokens=512, min_shared=24)


def _held_out(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> list[PackedBatch]:
    rng = Random(f"held out {config.seed}")
    return [b for _ in range(10) for b in _batches(config, tokenizer, rng, noise=0.0, size=1.0)]


def _parse() -> PretrainConfig:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the policy")
    for name in ("steps", "batch_tokens", "seed", "threads", "workers", "save_every"):
        default = getattr(PretrainConfig, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return PretrainConfig(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
