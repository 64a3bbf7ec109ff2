"""How a configuration is refused: in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config


def refusal(source: str | Path, *settings: str) -> str:
    """What is said of a configuration, changed by ``--set``, that cannot be."""
    with pytest.raises(UserError) as caught:
        load_config(str(source), settings)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence
