"""A random policy that sees: Qwen3-VL's architecture in two layers, for tests and trials.

It knows nothing, but it goes through the same code as a trained one and needs no download:

    python -m webdojo.agents.tiny_vision FOLDER
    webdojo train qwen3-vl-2b-1gpu --set policy.checkpoint=FOLDER
"""

from __future__ import annotations

import argparse
import json
from io import BytesIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PIECES = 768
"""Tokens of the vocabulary besides the special ones."""
PATCH, MERGE = 16, 2


def write_tiny_vision(folder: Path, seed: int = 0) -> None:
    """Write model, tokenizer and processor into ``folder``, as a checkpoint has them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    tiny_model(seed).save_pretrained(folder)
    for name, processor in (
        ("preprocessor_config.json", {"image_processor_type": "Qwen2VLImageProcessorFast"}),
        ("video_preprocessor_config.json", {"video_processor_type": "Qwen3VLVideoProcessor"}),
    ):
        (folder / name).write_text(json.dumps(processor | _PROCESSING, indent=2) + "\n")


def tiny_model(seed: int = 0, **text: Any) -> PreTrainedModel:
    """The model alone, random by ``seed``; ``text`` changes its language model's configuration."""
    import torch
    from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = {name: place for place, name in enumerate(SPECIAL)}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": PIECES + len(SPECIAL),
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "max_position_embeddings": 8192,
            "initializer_range": 0.2,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "dtype": "float32",
        }
        | text,
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_heads": 2,
            "out_hidden_size": text.get("hidden_size", 64),
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model: PreTrainedModel = Qwen3VLForConditionalGeneration(config)
    model.train(mode=False)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"]
    )
    return model


def drawn_screenshot(seed: int, size: tuple[int, int] = (160, 210)) -> bytes:
    """A JPEG of coloured boxes in place of a page, the same for the same seed."""
    from PIL import Image

    rng = Random(seed)

    def colour() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    image = Image.new("RGB", size, colour())
    for _ in range(20):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        image.paste(colour(), (x, y, x + size[0] // 4, y + size[1] // 8))
    out = BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level pairs learned from the prompts that come with WebDojo."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from webdojo.agents.layouts.chat import system_prompt
    from webdojo.agents.layouts.prompt_files import STYLES

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES + len(SPECIAL),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([system_prompt(style) for style in STYLES], trainer)
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106  # a token of text
        pad_token="<|endoftext|>",  # noqa: S106
        extra_special_tokens=[t for t in SPECIAL if t not in ("<|im_end|>", "<|endoftext|>")],
    )
    made.chat_template = TEMPLATE
    return made


_PROCESSING: dict[str, Any] = {
    "processor_class": "Qwen3VLProcessor",
    "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216},
    "patch_size": PATCH,
    "temporal_patch_size": 2,
    "merge_size": MERGE,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""As Qwen3-VL's own processors have it."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a small Qwen3-VL with random weights.")
    parser.add_argument("folder", type=Path, help="where to, e.g. build/tiny-vision")
    write_tiny_vision(parser.parse_args().folder)
