"""Tasks of at least six steps for the comparison of normalizers: corridors of doors.

Each screen has some buttons, one of which has the label that the goal names. It leads to the next
screen, any other one nowhere; an episode ends after the last screen or at its horizon. So successes
take as many steps as there are screens or a few more, and failures all that there are.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from webdojo.tasks import Outcome, Task

WORDS = [
    "apple",
    "anchor",
    "basket",
    "bridge",
    "candle",
    "canyon",
    "desert",
    "dragon",
    "ember",
    "engine",
    "falcon",
    "forest",
    "garden",
    "glacier",
    "harbor",
    "island",
    "jungle",
    "kettle",
    "lantern",
    "meadow",
    "nectar",
    "orchard",
    "pepper",
    "quartz",
    "river",
    "saddle",
    "temple",
    "umbrella",
    "valley",
    "window",
]
SCRIPT = """
([screens, label]) => {
  let at = 0;
  window.passed = false;
  const show = () => {
    document.body.replaceChildren();
    for (const text of screens[at]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.onclick = () => {
        if (text !== label) return;
        at += 1;
        if (at < screens.length) { show(); return; }
        window.passed = true;
        document.body.textContent = "out";
      };
      document.body.append(button);
    }
  };
  show();
}
"""


class Corridor(Task):
    """Six screens of four doors, in at most 15 steps."""

    id = "bench.corridor-6"
    horizon = 15
    screens: ClassVar[int] = 6

    async def setup(self, page: Any, seed: int) -> str:
        """Draw the doors; the goal names the one to take everywhere."""
        chance = Random(f"corridor/{seed}")
        label = chance.choice(WORDS)
        others = [word for word in WORDS if word != label]
        screens = []
        for _ in range(self.screens):
            doors = [label, *chance.sample(others, 3)]
            chance.shuffle(doors)
            screens.append(doors)
        await page.set_content("<body></body>")
        await page.evaluate(SCRIPT, [screens, label])
        return f'Click on the "{label}" button.'

    async def evaluate(self, page: Any, answer: str | None) -> Outcome:
        """Reward for the end of the corridor."""
        passed = await page.evaluate("window.passed")
        return Outcome(float(passed), done=passed)

    def oracle(self, view: Any) -> Any:
        """Take the door that the goal names."""
        label = view.goal.split('"')[1]
        while True:
            view = yield f'click("{view.bid("button", label)}")'


class LongCorridor(Corridor):
    """Eight screens of four doors, in at most 20 steps."""

    id = "bench.corridor-8"
    horizon = 20
    screens = 8
