"""Configurations as they are given: presets and TOML files, changed by settings, and refused."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from webdojo.agents.checkpoint import SHIPPED
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import DATA_FILES, PROGRAM, load_tasks_file
from webdojo.tasks.task import Task
from webdojo.tasks.toml_kinds import another_kind
from webdojo.training.config import LONGEST_NAME, MANIFEST, TRAINED_ON, TrainConfig
from webdojo.training.config_errors import Sources, explain
from webdojo.training.lora_targets import check_named
from webdojo.training.set_option import change, keys_of

PRESETS = Path(__file__).parent / "presets"
QUICKSTART = "quickstart"


def presets() -> tuple[str, ...]:
    """Names of the configurations that come with WebDojo."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def load_config(
    source: str, settings: Sequence[str] = (), task_files: Sequence[Path] = ()
) -> TrainConfig:
    """Read a preset by name or a TOML file, and change it by ``a.b=value`` settings.

    Raises UserError naming the file, the key and the way out.
    """
    path = PRESETS / f"{source}.toml"
    if not path.is_file():
        path = Path(source)
    if not path.is_file():
        raise UserError(_no_configuration(source))
    if path.suffix == PROGRAM:
        raise UserError(f"{path} is a program, not a configuration: {_with_tasks(path)}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        hint = f"; for tasks, {_with_tasks(path)}" if path.suffix in DATA_FILES - {MANIFEST} else ""
        raise UserError(f"{path} is not valid TOML: {error}{hint}") from None
    if other := another_kind(data, "configuration", path):
        raise UserError(other)
    data.setdefault("name", _name_of(path))
    _place_files(data, path.parent)
    change(data, settings)
    place = f"preset {source}" if path.parent == PRESETS else str(path)
    config = parse_config(data, place, keys_of(settings))
    found: dict[str, tuple[str | Path, ...]] = {
        field: tuple(_whole_path(name) for name in getattr(config.tasks, field))
        for field in (*TRAINED_ON, "unseen", "held_out")
    }
    found["files"] = tuple(file.resolve() for file in (*config.tasks.files, *task_files))
    policy = config.policy.model_copy(update={"checkpoint": _folder(config.policy.checkpoint)})
    tasks = config.tasks.model_copy(update=found)
    return config.model_copy(update={"policy": policy, "tasks": tasks})


def _no_configuration(source: str) -> str:
    """What to say of a name that is neither a file nor a preset: what may be meant by it."""
    path = Path(source)
    if (path / "state.json").is_file():
        return f"{source} is a run's folder: go on with it by webdojo train --resume {source}"
    beside = [str(file) for file in sorted(path.parent.glob("*.toml"))]
    known = {**{file.removesuffix(".toml"): file for file in beside}, **{f: f for f in beside}}
    known |= {name: name for name in presets()}
    near = get_close_matches(source, known, n=1)
    hint = f"did you mean {known[near[0]]!r}?" if near else f"there are {', '.join(presets())}"
    return f"no configuration {source!r}: give a TOML file that is there, or a preset; {hint}"


def _with_tasks(file: Path) -> str:
    return f"give it as --tasks {file}, beside a configuration or alone"


def quickstart_on(task_files: Sequence[Path], settings: Sequence[str] = ()) -> TrainConfig:
    """The quick start with the tasks of these files in place of those it reinforces.

    Those with an oracle are demonstrated too, beside what the quick start demonstrates;
    ``settings`` as for ``load_config``. Raises UserError naming the file that is at fault.
    """
    own = [name for file in task_files for name in load_tasks_file(file)]
    shown = [name for name in own if registry.entry(name).task.oracle is not Task.oracle]
    demonstrated = [*load_config(QUICKSTART).tasks.demonstrated, *shown]
    changes = {"tasks.reinforced": own, "tasks.demonstrated": demonstrated}
    made = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    name = json.dumps(_name_of(task_files[0]))
    return load_config(QUICKSTART, [f"name={name}", *made, *settings], task_files)


def load_its_tasks(config: TrainConfig, place: str, given: Sequence[Path] = ()) -> None:
    """Load the files of tasks that a configuration names; UserError names ``place`` beside them.

    But for those that were ``given`` to it.
    """
    others = {file.resolve() for file in given}
    for file in config.tasks.files:
        try:
            load_tasks_file(file)
        except UserError as error:
            if file in others:
                raise
            raise UserError(f"{place}: tasks.files: {error}") from None


def config_to_toml(config: TrainConfig) -> str:
    """The whole configuration, defaults included, as ``load_config`` reads it."""
    import tomli_w

    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def parse_config(data: Mapping[str, Any], place: str, settings: Sequence[str] = ()) -> TrainConfig:
    """Validate a configuration; UserError tells the first thing that is wrong and the way out.

    ``place`` is where the values come from, but for those of the keys ``settings``.
    """
    sources = Sources(place, data, tuple(settings))
    try:
        config = TrainConfig.model_validate(data)
    except ValidationError as error:
        raise UserError(explain(error, TrainConfig, sources)) from None
    check_named(config.learner.lora, config.policy.checkpoint, sources)
    return config


def _name_of(file: Path) -> str:
    """A run's name that is most like a file's."""
    plain = re.sub(r"[^\w.-]", "-", file.stem)[:LONGEST_NAME]
    return re.sub(r"^[^A-Za-z0-9]+", "", plain).rstrip("-_") or "mine"


def _place_files(data: dict[str, Any], folder: Path) -> None:
    """Make what a TOML file names beside it absolute; validation tells of what is malformed."""
    policy = data.get("policy")
    if isinstance(policy, dict) and isinstance(name := policy.get("checkpoint"), str):
        beside = folder / Path(name).expanduser()
        if name not in SHIPPED and beside.is_dir():
            policy["checkpoint"] = str(beside.resolve())
    tasks = data.get("tasks")
    if not isinstance(tasks, dict):
        return
    for field, names in tasks.items():
        if isinstance(names, list):
            tasks[field] = [
                str(folder / Path(name).expanduser())
                if isinstance(name, str) and (field == "files" or name.endswith(MANIFEST))
                else name
                for name in names
            ]


def _folder(checkpoint: str) -> str:
    """A folder's whole path, which means the same wherever the run is looked at later."""
    is_folder = checkpoint not in SHIPPED and Path(checkpoint).is_dir()
    return str(Path(checkpoint).resolve()) if is_folder else checkpoint


def _whole_path(name: str) -> str:
    return str(Path(name).resolve()) if name.endswith(MANIFEST) else name
