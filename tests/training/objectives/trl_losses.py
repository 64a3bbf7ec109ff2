"""Losses, gradients and advantages by TRL's own trainer, for tensors read from a file.

Run by an interpreter that has TRL:  python trl_losses.py FOLDER

FOLDER/cases.json lists {"name", "config" (of GRPOConfig), "beta", "parts"};
FOLDER/tensors.safetensors holds ``logprobs``, ``old``, ``reference``, ``entropies`` and ``mask``
[rows, tokens], ``advantages`` and ``rewards`` [rows]. Writes FOLDER/results.safetensors.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

GROUP = 4
WORDS = ["<pad>", "<eos>", *"abcdef"]


class GivenLogprobs(GRPOTrainer):
    """TRL's trainer, whose model is replaced by the log-probabilities handed to it."""

    def _get_per_token_logps_and_entropies(self, *args, **kwargs):
        if self.given is None:
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)
        return *self.given, None


def make_trainer(config: dict, rewards: list[float]) -> GivenLogprobs:
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(WORDS),
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            max_position_embeddings=64,
            eos_token_id=1,
            pad_token_id=0,
        )
    )
    trainer = GivenLogprobs(
        model=model,
        reward_funcs=lambda completions, **_: rewards,
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=len(rewards),
            num_generations=GROUP,
            max_completion_length=4,
            report_to=[],
            use_cpu=True,
            bf16=False,
            **config,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["a b c"] * len(rewards)}),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>"
        ),
    )
    trainer.given = None
    return trainer


def loss_and_gradients(trainer: GivenLogprobs, case: dict, tensors: dict) -> dict:
    """One loss over all rows, or the sum of several micro-batches' as in one optimizer step."""
    logprobs = tensors["logprobs"].clone().requires_grad_()
    entropies = tensors["entropies"].clone().requires_grad_()
    parts = case["parts"]
    trainer.beta = case["beta"]
    trainer.current_gradient_accumulation_steps = parts
    trainer.args.steps_per_generation = parts
    trainer.model.train(parts > 1)
    total = 0.0
    for rows in torch.arange(len(logprobs)).chunk(parts):
        trainer.given = (logprobs[rows], entropies[rows])
        total = total + trainer.compute_loss(
            trainer.model,
            {
                "prompt_ids": torch.ones(len(rows), 1, dtype=torch.long),
                "prompt_mask": torch.ones(len(rows), 1, dtype=torch.long),
                "completion_ids": torch.ones(tensors["mask"][rows].shape, dtype=torch.long),
                "completion_mask": tensors["mask"][rows],
                "advantages": tensors["advantages"][rows],
                "old_per_token_logps": tensors["old"][rows],
                "ref_per_token_logps": tensors["reference"][rows],
                "num_items_in_batch": tensors["mask"].sum(),
            },
        )
    trainer.given = None
    # An unused input has no gradient; 0 · it gives it one.
    total = total + 0 * entropies.sum()
    by_logprob, by_entropy = torch.autograd.grad(total, (logprobs, entropies))
    name = case["name"]
    return {
        f"{name}/loss": total.detach(),
        f"{name}/gradient": by_logprob.contiguous(),
        f"{name}/entropy_gradient": by_entropy.contiguous(),
    }


def main(folder: Path) -> None:
    tensors = load_file(folder / "tensors.safetensors")
    rewards = tensors["rewards"].tolist()
    results = {}
    for case in json.loads((folder / "cases.json").read_text()):
        trainer = make_trainer(case["config"], rewards)
        results |= loss_and_gradients(trainer, case, tensors)
    for scale in ("group", "none"):
        trainer = make_trainer({"scale_rewards": scale}, rewards)
        prompts = [{"prompt": "a b c"} for _ in rewards]
        scored = trainer._generate_and_score_completions(prompts)
        results[f"advantages/{scale}"] = scored["advantages"]
    save_file(results, folder / "results.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
