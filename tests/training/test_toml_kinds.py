"""A TOML file that is given where another kind is wanted is told for what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import get_split
from webdojo.training.config_files import load_config

TASKS = '[sites.a]\nfolder = "a"\n\n[[tasks]]\nid = "a.b"\n'
CONFIGURATION = '[tasks]\nreinforced = ["a.b"]\n\n[learner]\nlr = 5e-4\n'
MANIFEST = 'name = "mine"\nversion = 1\nseeds = [0, 10]\ntasks = ["a.b"]\n'


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (load_tasks_file, CONFIGURATION, "is a run's configuration: give it as `webdojo train "),
        (load_tasks_file, MANIFEST, "is a split's manifest: name it with --split "),
        (get_split, TASKS, "holds tasks: give it as --tasks "),
        (get_split, CONFIGURATION, "is a run's configuration: give it as `webdojo train "),
        (load_config, TASKS, "holds tasks: give it as --tasks "),
        (load_config, MANIFEST, "is a split's manifest: name it with --split "),
    ],
)
def test_a_file_of_another_kind_is_told_for_what_it_is(
    tmp_path: Path, read: Callable[[str], object], text: str, said: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read(str(file))
    assert str(caught.value).startswith(f"{file} {said}"), caught.value
