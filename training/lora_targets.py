"""Whether the layers that adapters are to be put on are there; no torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from webdojo.tasks.errors import UserError
from webdojo.training.config_errors import Sources
from webdojo.training.learner_config import LoraConfig
from webdojo.training.model_shape import find_layers

EVERY = ("all-linear",)
"""What stands for all layers, alone."""
HEAD = "lm_head"
"""The output head, as Hugging Face models name it."""
MOST_NAMES = 20
"""Names of layers that an error lists."""


def check_named(lora: LoraConfig | None, checkpoint: str, sources: Sources) -> None:
    """Raise UserError if a policy has no linear layer of a name, where its layers are known.

    Reads no more than the headers of its files, which may name what stands before the blocks
    otherwise than the model does: that is not compared.
    """
    if lora is None or lora.targets == EVERY or not (layers := find_layers(checkpoint)):
        return
    for target in lora.targets:
        if not is_named(_from_its_block(target), layers):
            place = sources.place_of("learner.lora.targets")
            policy = f"{checkpoint} (policy.checkpoint, {sources.of('policy.checkpoint')})"
            raise UserError(f"{place}: {no_such_layer(target, policy, layers)}")


def is_named(target: str, layers: Iterable[str]) -> bool:
    """Whether a layer has that name, or one that ends in it after a dot, as peft compares them."""
    return any(f".{name}".endswith(f".{target}") for name in layers)


def no_such_layer(target: str, model: str, layers: Iterable[str]) -> str:
    """What is wrong with a target and the way out, given the names of the model's linear layers."""
    names = sorted({name.rpartition(".")[2] for name in layers})
    listed = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    if target.rpartition(".")[2] == HEAD:
        # Merged into the one they would be merged into the other.
        lacks = "no output head of its own: it shares the embeddings' weights"
    else:
        lacks = "no linear layer of that name"
    return (
        f"learner.lora.targets names {target!r}, and {model} has {lacks};"
        f" {_nearest(target, layers)}it has {listed}; or take all-linear alone"
    )


def _nearest(target: str, layers: Iterable[str]) -> str:
    """The name that is most like a target's, of as many parts, without the number of a block."""
    meant, *within = (re.sub(r"^.*\.\d+\.", "", name) for name in (target, *layers))
    parts = meant.count(".") + 1
    tails = sorted({".".join(name.split(".")[-parts:]) for name in within})
    last = meant.rpartition(".")[2]
    near = [tail for tail in tails if tail.rpartition(".")[2] == last]
    near = near or get_close_matches(meant, tails, n=1)
    return f"the nearest is {near[0]!r}; " if near else ""


def _from_its_block(name: str) -> str:
    """A layer's name from the list of its block on, or its last two parts outside of any."""
    found = re.search(r"[^.]+\.\d+\..+", name)
    return found[0] if found else ".".join(name.split(".")[-2:])
