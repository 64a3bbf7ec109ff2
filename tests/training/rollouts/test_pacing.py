"""The pacing formula, by hand."""

from __future__ import annotations

import pytest

from webdojo.training.rollouts.pacing import Pacing


@pytest.mark.parametrize(
    ("staleness", "version", "ready", "open_groups", "groups"),
    [
        (0, 0, 0, 0, 2),  # one batch of two groups, then nothing
        (0, 0, 0, 2, 0),
        (0, 0, 2, 0, 0),
        (2, 0, 0, 0, 6),  # (2 + 0 + 1)·2
        (2, 0, 1, 3, 2),
        (2, 7, 1, 3, 2),  # the same seven updates later: accepted has grown with the version
        (1, 3, 4, 1, 0),  # never negative, even if the staleness bound was lowered on resume
    ],
)
def test_groups_that_may_be_opened(
    staleness: int, version: int, ready: int, open_groups: int, groups: int
) -> None:
    pacing = Pacing(100, staleness, 2, 4, version, ready=ready, open=open_groups)
    assert pacing.groups == groups
    assert pacing.capacity == 4 * groups


def test_places_bound_what_runs() -> None:
    assert Pacing(10, 2, 8, 4, running=7).capacity == 3


def test_members_of_begun_groups_may_begin_when_no_group_may() -> None:
    pacing = Pacing(10, 0, 1, 4, open=1, running=2, waiting=2)
    assert (pacing.groups, pacing.capacity) == (0, 2)


def test_while_an_update_runs_its_batch_still_counts() -> None:
    pacing = Pacing(10, 0, 1, 4, version=3)
    assert pacing.groups == 1
    pacing.next_version = 4
    assert pacing.groups == 0
    pacing.version = 4
    assert pacing.groups == 1


def test_a_resumed_run_has_accepted_a_batch_a_version() -> None:
    assert Pacing(10, 2, 16, 8, version=25).accepted == 25 * 16


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 1, 1, 1), "max_running must be at least 1, got 0"),
        ((1, -1, 1, 1), "staleness must be at least 0, got -1"),
        ((1, 1, 0, 1), "groups_per_batch must be at least 1, got 0"),
        ((1, 1, 1, 0), "group_size must be at least 1, got 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    values: tuple[int, int, int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Pacing(*values)
