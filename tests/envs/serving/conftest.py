from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from served import Served, start


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts servers of a test's own."""
    with contextlib.ExitStack() as stack:

        def one(*arguments: str, **environment: str) -> Served:
            served = start(*arguments, **environment)
            stack.callback(served.stop)
            return served

        yield one


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    """A server that tests share; it knows all tasks and asks for no key."""
    served = start()
    yield served
    assert served.stop() == 0
