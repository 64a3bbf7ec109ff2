"""The tokenizer of ``webdojo-nano``: byte-fallback BPE in which a word has one spelling.

A word is spelled the same whether it stands in the goal or inside quotes on the page, because every
stretch of text between two structural tokens starts as after a space. Digits stand alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from webdojo.agents.layouts import outline as layout

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Learn a tokenizer of ``vocabulary`` tokens for prompts of at most ``context`` tokens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r"[^\w▁]|_"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse()]
    )
    structure = [AddedToken(text, normalized=False) for text in layout.STRUCTURE]
    tokenizer.add_tokens(structure)  # so that training splits texts there
    special = [layout.PAD, layout.END, layout.ACT]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(layout.STRUCTURE),
        special_tokens=[*special, *BYTES],
        initial_alphabet=[*map(chr, range(33, 127)), "▁", "…", "•", "×"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(structure)  # training forgets them
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=layout.PAD,
        eos_token=layout.END,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
