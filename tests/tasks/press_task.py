"""A sound task of four buttons, to be spoilt one thing at a time, and the certification of it."""

from __future__ import annotations

from webdojo.envs.certification import Effort, TaskReport, certify
from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import click
from webdojo.tasks.registry import Entry

QUICK = Effort(seeds=2, trials=2, random=2, idle=1)
BUTTONS = "".join(f"<button>{n}</button>" for n in range(4))
HEARD = """<input><script>
  document.onclick = (event) => { window.pressed = event.target.textContent }
</script>"""


class Press(Task):
    """Press the button with the goal's number; the rewards of wrong ones can be changed."""

    id = "check.press"
    rewards = (0.0, 0.0)
    """For nothing, and for a wrong button."""

    async def setup(self, page, seed):
        self.wanted = str(seed % 4)
        await page.set_content(BUTTONS + HEARD)
        return f"Press {self.wanted}"

    async def evaluate(self, page, answer):
        pressed = await page.evaluate("window.pressed")
        if pressed == self.wanted:
            return Outcome(1.0, done=True)
        return Outcome(self.rewards[pressed is not None], done=pressed is not None)

    def oracle(self, view):
        yield click(view.bid("button", view.goal[-1]))


async def checked(task: type[Task], effort: Effort = QUICK) -> TaskReport:
    (found,) = await certify([Entry(task, "here")], effort, contexts=2)
    return found
