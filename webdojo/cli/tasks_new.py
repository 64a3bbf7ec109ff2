"""``webdojo tasks new``: the file of a first task, which passes its check as it stands."""

from __future__ import annotations

import builtins
import keyword
import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = (
    "Example: webdojo tasks new my-shop.add-to-cart\n\nThen: webdojo tasks check add_to_cart.py"
)
USED = ("Outcome", "Random", "Task")
"""Names of classes that the file imports."""
TEMPLATE = '''"""The task {id}. `webdojo tasks check {file}` certifies it."""

from random import Random

from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import click

THINGS = ["red mug", "blue mug", "green lamp", "brass bell", "oak chair", "wool scarf"]
PAGE = """
<h1>{title}</h1>
<ul>{{rows}}</ul>
<p>In the cart: <output></output></p>
<script>
  const add = (thing) => {{{{ document.querySelector("output").textContent = thing }}}}
</script>
"""
ROW = "<li>{{0}} <button aria-label='Add {{0}}' onclick='add(`{{0}}`)'>Add</button></li>"


class {class_name}(Task):
    """Put one thing of several into the cart."""

    id = "{id}"

    async def setup(self, page, seed):
        chance = Random(seed)
        shown = chance.sample(THINGS, 4)
        self.wanted = chance.choice(shown)
        await page.set_content(PAGE.format(rows="".join(ROW.format(x) for x in shown)))
        return f"Add the {{self.wanted}} to the cart."

    async def evaluate(self, page, answer):
        in_cart = await page.locator("output").text_content()
        return Outcome(float(in_cart == self.wanted), done=bool(in_cart))

    def oracle(self, view):
        thing = view.goal.removeprefix("Add the ").removesuffix(" to the cart.")
        yield click(view.bid("button", aria_label=f"Add {{thing}}"))
'''


def new(
    task_id: Annotated[str, typer.Argument(metavar="SUITE.NAME", help="The new task's id.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="Where to write it; NAME.py here if left out.")
    ] = None,
) -> None:
    """Write the file of a new task: page, goal, evaluator and oracle, to be changed at will."""
    from webdojo.tasks import registry
    from webdojo.tasks.errors import UserError

    registry.check_new_id(task_id)
    suite, name = task_id.split(".")
    if file is not None and file.suffix != ".py":
        raise UserError(
            f"--file {file}: a task is a Python file; name it {file.with_suffix('.py')}"
        )
    if file is not None and _hides_another(file.stem):
        raise UserError(
            f"--file {file}: a module of this name is there already, and would be hidden by it;"
            f" name it {file.with_stem(f'{file.stem}_task')}"
        )
    stem = name.replace("-", "_")
    place = file or Path(f"{stem}_task.py" if _hides_another(stem) else f"{stem}.py")
    text = TEMPLATE.format(
        id=task_id,
        file=place,
        title=suite.replace("-", " ").capitalize(),
        class_name=_class_name(name),
    )
    try:
        with place.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UserError(f"{place} is there already; name another with --file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{place}: there is no folder {place.parent}; make it first") from None
    typer.echo(f"{place} written; next: webdojo tasks check {place}")


def _hides_another(stem: str) -> bool:
    """Whether a file of this name stands before a module that is imported by others."""
    return stem in {*sys.stdlib_module_names, "webdojo", "playwright"} and stem != "__main__"


def _class_name(name: str) -> str:
    class_name = "".join(part.capitalize() for part in name.split("-"))
    if not class_name[0].isalpha():
        return f"Task{class_name}"
    taken = class_name in USED or keyword.iskeyword(class_name) or hasattr(builtins, class_name)
    return f"{class_name}Task" if taken else class_name
