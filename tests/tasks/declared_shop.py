"""A small shop and a file of two tasks on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Write = Callable[..., Path]

SHOP = """<!doctype html><title>Shop</title>
<form action="thanks.html" method="post">
<label>Colour <select name="colour"><option>white</option><option>red</option><option>blue</option>
</select></label><label>Name <input name="name"></label><button>Buy</button></form>"""
THANKS = "<!doctype html><h1 id=thanks>Thank you</h1>"

TASKS = """
[defaults]
horizon = 5

[sites.declared-shop]
folder = "shop"

[[tasks]]
id = "declared-tests.buy"
site = "declared-shop"
url = "/index.html"
goal = "Buy a {mug.colour} mug as {name}."
choices.mug = [{ colour = "red", code = 1 }, { colour = "blue", code = 2 }]
choices.name = ["Ada", "Bo", "Cy"]
oracle = [
  'select_option("label=Colour", "{mug.colour}")',
  'fill("label=Name", "{name}")',
  'click("text=Buy")',
]

[[tasks.evaluators]]
type = "request"
method = "POST"
url = "/thanks.html"
form = { colour = "{mug.colour}", name = "{name}" }

[[tasks.evaluators]]
type = "dom"
selector = "#thanks"

[[tasks]]
id = "declared-tests.how-much"
site = "declared-shop"
url = "/"
difficulty = "medium"
goal = "How much is {{n}}, if n is {n}?"
choices = { n = [1, 2, 3] }
oracle = ['send_msg_to_user("It is {n}.")']
evaluators = [{ type = "number", value = "{n}" }]
"""


def write_tasks(write: Write) -> Path:
    """Write the shop and the file; gives the file."""
    write(SHOP, "shop/index.html")
    write(THANKS, "shop/thanks.html")
    return write(TASKS, "tasks.toml")
