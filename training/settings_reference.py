"""Every setting of a configuration: its key, what it takes, its default and its meaning.

All of it is read from the classes themselves, meanings from the docstring below each field, and
only when somebody asks: importing a configuration reads no source.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.presets import PRESETS

LEFT_OUT = "left out"
"""The default of a key that need not be there."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that a configuration may hold."""

    key: str
    """In full, as ``--set`` takes it: ``rollout.staleness``."""
    kind: str
    """The kind of part that alone has the key, such as ``ppo`` of a surrogate; else empty."""
    takes: str
    """Its type and bounds, or its choices, in words."""
    default: str
    """As TOML, or ``LEFT_OUT``."""
    example: str
    """A value that it takes, as TOML."""
    meaning: str
    kinds: Mapping[str, str] = field(default_factory=dict)
    """What each kind of a part is, by its name; empty for what is no such part."""

    @property
    def section(self) -> str:
        """The table that it stands in; ``run`` for the keys above all tables."""
        return self.key.split(".", 1)[0] if "." in self.key else "run"


def settings_of(model: type[BaseModel], prefix: str = "", kind: str = "") -> Iterator[Setting]:
    """Every setting of a section and of the sections in it, in the order of the source."""
    if model is ObjectiveConfig:
        yield _objective_preset(prefix)
    meanings = _meanings(model)
    for name, info in model.model_fields.items():
        if kind and name == "name":
            continue  # choosing the kind is the setting of the part itself
        key = prefix + name
        inner = models_in(info.annotation)
        kinds = {kind_of(each): said_of(each) for each in inner} if len(inner) > 1 else {}
        if kinds or not isinstance(info.default, BaseModel):
            default, example = toml(info.default), toml(_example(info))
            meaning = meanings.get(name, "")
            yield Setting(key, kind, takes_of(info), default, example, meaning, kinds)
        for part in inner:
            yield from settings_of(part, f"{key}.", kind_of(part) if kinds else "")


def sections_of(model: type[BaseModel]) -> dict[str, str]:
    """What each section is about, by name; ``run`` is of the keys above all of them."""
    found = {"run": "The run as a whole; these keys stand above all tables."}
    for name, info in model.model_fields.items():
        if isinstance(info.default, BaseModel):
            found[name] = said_of(type(info.default))
    return found


def said_of(model: type[BaseModel]) -> str:
    """A class's own docstring as one paragraph."""
    return _plain(model.__doc__ or "")


def kind_of(model: type[BaseModel]) -> str:
    """The name that chooses one of several classes of a part."""
    return str(model.model_fields["name"].default)


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The classes among which a field's value is, if it is a section."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, UnionType, Annotated}:
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def takes_of(info: FieldInfo) -> str:
    """What a field takes, in words: ``a whole number, 0 or more``."""
    kinds = models_in(info.annotation)
    if len(kinds) > 1:
        return f"{_either([kind_of(kind) for kind in kinds])}, or a table with that `name`"
    if kinds:
        return f"a table of {', '.join(f'`{name}`' for name in kinds[0].model_fields)}"
    return info.title or _words(info.annotation, info.metadata)


def toml(value: object) -> str:
    """A value as a TOML file has it, on one line."""
    match value:
        case None:
            text = LEFT_OUT
        case BaseModel():
            text = toml(_changes(value))
        case Mapping():
            text = "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
        case list() | tuple():
            text = f"[{', '.join(map(toml, value))}]"
        case float():
            text = repr(value).replace("e-0", "e-")
        case bool() | int():
            text = str(value).lower()
        case _:
            text = json.dumps(str(value), ensure_ascii=False)
    return text


def _changes(section: BaseModel) -> dict[str, Any] | str:
    """What makes a section of its defaults: a kind's name alone, or a table."""
    changed = section.model_dump(exclude_defaults=True)
    if "name" not in type(section).model_fields:
        return changed
    name = kind_of(type(section))
    return {"name": name, **changed} if changed else name


def _objective_preset(prefix: str) -> Setting:
    return Setting(
        f"{prefix}preset",
        "",
        _either(list(PRESETS)),
        toml("asyncwebrl"),
        toml("dapo"),
        "A published objective, whose parts stand where no other is given. On the command line it"
        " takes the place of the file's whole objective.",
    )


def _example(info: FieldInfo) -> object:
    if info.examples:
        return info.examples[0]
    if info.default is None:
        return next(iter(_choices(info.annotation)), 1)
    return info.default


def _words(annotation: object, metadata: list[Any]) -> str:
    """A type and its bounds in words."""
    if choices := _choices(annotation):
        return _either(choices)
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is Annotated:
        annotation, note = get_args(annotation)
        metadata = note.metadata
    if get_origin(annotation) is tuple:
        return _list(get_args(annotation), metadata)
    if annotation is int:
        return _whole_number(metadata)
    if annotation is float:
        return _number(metadata)
    return {bool: "true or false", str: "text", Path: "a file"}[annotation]  # type: ignore[index]


def _list(entries: tuple[Any, ...], metadata: list[Any]) -> str:
    first, *rest = entries
    if rest != [...]:
        return f"a list of {len(entries)}, each {_words(first, [])}"
    least = next((each.min_length for each in metadata if hasattr(each, "min_length")), 0)
    bare = get_args(first)[0] if get_origin(first) is Annotated else first
    many = {str: "texts", Path: "files"}.get(bare) or _words(first, [])
    return f"a list of {'one or more ' if least else ''}{many}"


def _choices(annotation: object) -> list[str]:
    """The choices of a type that is nothing but choices, ``None`` aside."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if get_origin(annotation) not in {Union, UnionType}:
        return []
    parts = [_choices(part) for part in get_args(annotation) if part is not NoneType]
    return [choice for part in parts for choice in part] if all(parts) else []


def _either(choices: list[str]) -> str:
    *most, last = (f"`{choice}`" for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "allow_inf_nan")
    return {name: getattr(each, name) for each in metadata for name in names if hasattr(each, name)}


def _whole_number(metadata: list[Any]) -> str:
    bounds = _bounds(metadata)
    low = bounds.get("ge", bounds["gt"] + 1 if "gt" in bounds else None)
    high = bounds.get("le", bounds["lt"] - 1 if "lt" in bounds else None)
    if low is None:
        return "a whole number"
    if high is None:
        return f"a whole number, {low} or more"
    # A limit of the machine's numbers is read best as a power.
    most = f"{high:,}" if high < 2**31 else f"2^{high.bit_length()} − 1"
    return f"a whole number from {low:,} to {most}"


def _number(metadata: list[Any]) -> str:
    bounds = _bounds(metadata)
    infinity = " or `inf`" if bounds.get("allow_inf_nan") else ""
    if "gt" in bounds:
        most = f" and at most {bounds['le']:g}" if "le" in bounds else ""
        return f"a number above {bounds['gt']:g}{most}{infinity}"
    if "ge" not in bounds:
        return f"a number{infinity}"
    if "le" in bounds:
        high = bounds["le"]
        most = f"{high:,}" if isinstance(high, int) else f"{high:g}"
        return f"a number from {bounds['ge']:g} to {most}"
    if "lt" in bounds:
        return f"a number from {bounds['ge']:g} to below {bounds['lt']:g}"
    return f"a number, {bounds['ge']:g} or more{infinity}"


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of a class and of those that it inherits from."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= _docstrings(inspect.getfile(kind)).get(kind.__name__, {})
    return found


@cache
def _docstrings(file: str) -> Mapping[str, dict[str, str]]:
    """The docstrings below the fields of every class of a file."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for statement, below in zip(node.body, node.body[1:], strict=False):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(said))):
                    fields[name] = _plain(said)
    return found


def _plain(docstring: str) -> str:
    return " ".join(docstring.split()).replace("``", "`")
