"""What people can see of a page: one rule for observations, oracles and evaluators."""

from pathlib import Path

SIGHT = (Path(__file__).parent / "sight.js").read_text(encoding="utf-8").strip()
"""A JavaScript expression whose value judges what is seen; ``sight.js`` says how."""
