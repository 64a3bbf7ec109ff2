"""Splits: which (task, seed) pairs are for training and which are held out."""

from webdojo.tasks.splits.named import get_split, load_split, split_names
from webdojo.tasks.splits.pages import few_instances
from webdojo.tasks.splits.proof import Proof, check_tasks, prove, shared, trained_among
from webdojo.tasks.splits.split import HELD_OUT_SEEDS, TRAIN_SEEDS, Split, leaks, require_trainable

__all__ = [
    "HELD_OUT_SEEDS",
    "TRAIN_SEEDS",
    "Proof",
    "Split",
    "check_tasks",
    "few_instances",
    "get_split",
    "leaks",
    "load_split",
    "prove",
    "require_trainable",
    "shared",
    "split_names",
    "trained_among",
]
