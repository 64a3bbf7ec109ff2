"""``webdojo.tasks.calls`` has every verb of the action vocabulary, as the vocabulary has it."""

from __future__ import annotations

import inspect

import pytest

from webdojo.envs import action_sets  # noqa: F401 - fills the action registry
from webdojo.envs.actions import ACTIONS, parse_action
from webdojo.tasks import calls


def test_there_is_a_function_for_every_verb() -> None:
    assert calls.VERBS.keys() == ACTIONS.keys()
    for name, verb in calls.VERBS.items():
        assert getattr(calls, name) is verb
        assert verb.__doc__


@pytest.mark.parametrize("name", ACTIONS)
def test_a_function_takes_what_its_verb_takes_and_writes_it(name: str) -> None:
    spec, signature = ACTIONS[name], inspect.signature(calls.VERBS[name])
    wanted = [(p.name, p.default) for p in spec.signature.parameters.values()]
    assert [(p.name, p.default) for p in signature.parameters.values()] == wanted
    example = parse_action(spec.example)
    assert parse_action(calls.VERBS[name](**example.arguments)) == example


def test_arguments_beyond_the_usual_are_written_too() -> None:
    assert calls.click("3", "right") == 'click("3", "right")'
    assert calls.noop(50) == "noop(50)"
    assert parse_action(calls.mouse_down(1, 2, "middle")).arguments["button"] == "middle"
    assert calls.say("Ada's") == 'send_msg_to_user("Ada\'s")'
