"""Attention masks of one's own for Hugging Face causal language models."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from webdojo.agents.architecture import text_config


def as_model_mask(model: nn.Module, visible: Tensor) -> Tensor:
    """Give ``visible`` the form that the model's attention takes.

    ``visible`` is boolean [batch, 1, queries, keys], True where the query sees the key. Models
    pass a 4-D mask on to every layer as it is. Raises ValueError if the attention takes no such
    mask (flash attention), or if a sliding window is shorter than the keys.
    """
    config = text_config(model)
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    if slides and window is not None and window < visible.shape[-1]:
        raise ValueError(
            f"the model's attention slides over {window} tokens, which a mask of one's own for "
            f"{visible.shape[-1]} tokens does not express; set use_sliding_window=false in its "
            "config"
        )
    implementation = config._attn_implementation
    if implementation == "sdpa":
        return visible
    if implementation == "eager":
        dtype = next(model.parameters()).dtype
        return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)
    raise ValueError(
        f"{implementation!r} attention takes no 4-D mask; "
        'load the model with attn_implementation="sdpa"'
    )


def decoder_of(model: nn.Module) -> nn.Module:
    """The model below the language-model head."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[operator]
    return decoder


def head_of(model: nn.Module) -> nn.Module:
    """The language-model head: hidden states to logits."""
    head: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    return head
