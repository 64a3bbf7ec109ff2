"""Rows of task sets in WebGym's and in WebArena-Verified's manner, and the files they stand in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webdojo.tasks.files import load_tasks_file

Write = Callable[..., Path]


def webgym_row(website: str, **fields: Any) -> dict[str, Any]:
    return {
        "task_name": "What does the red mug cost?",
        "domain": "Shopping",
        "subdomain": "Kitchen",
        "website": website,
        "evaluator_reference": [
            {"description": "Price", "facts": ["A price is given.", "It is $12."]},
            {"description": "Thing", "facts": ["It is about the red mug."]},
        ],
        "reference_answer": "$12",
        "difficulty": "easy",
        **fields,
    }


def write_lines(write: Write, *rows: dict[str, Any], name: str = "gym-tests.jsonl") -> Path:
    return write("\n".join(map(json.dumps, rows)), name)


def answer(kind: str, data: Any = None, status: str = "SUCCESS") -> str:
    return json.dumps({"task_type": kind, "status": status, "retrieved_data": data})


def response(kind: str, data: Any = None, status: str = "SUCCESS") -> dict[str, Any]:
    expected = {"task_type": kind, "status": status, "retrieved_data": data}
    return {"evaluator": "AgentResponseEvaluator", "expected": expected}


ORDER = {
    "evaluator": "NetworkEventEvaluator",
    "ignored_query_params": ["draft"],
    "expected": {
        "url": "__SHOP__/orders",
        "http_method": "POST",
        "post_data": {"sku": "R1"},
        "headers": {"referer": "__SHOP__/order"},
        "response_status": 302,
    },
}
BOUGHT: dict[str, Any] = {
    "url": "^__SHOP__/api/carts/\\d+$",
    "http_method": "POST",
    "post_data": {"$.item.sku": "^R\\d$", "$.item.wait": "1h 30min", "voucher": None},
    "query_params": {"mine": ["1"], "o": ["2"]},
    "response_content": {"count": 1, "$.items[0].name": "red mug"},
    "response_cookies": {"said": "^.*mug added$"},
}


def arena_row(number: int, *evaluators: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "task_id": number,
        "sites": ["shop"],
        "intent_template_id": 7,
        "start_urls": ["__SHOP__/order"],
        "intent": "Order a red mug.",
        "eval": list(evaluators),
        "revision": 2,
        **fields,
    }


def load_arena(write: Write, shop: str, *rows: dict[str, Any]) -> tuple[str, ...]:
    write(f'shop = "{shop}/"', "arena-tests.sites.toml")
    return load_tasks_file(write(json.dumps(rows), "arena-tests.json"))
