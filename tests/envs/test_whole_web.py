"""``*`` is the public web: neither this machine nor the networks around it are part of that."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import psutil
import pytest

from webdojo.envs.addresses import is_public
from webdojo.envs.gate import Gate
from webdojo.envs.origins import Origins
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
NOT_PUBLIC = (
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1"),
    *("", "localhost", "127.1"),
)
NAMED = "http://127.0.0.1:8000"
MOST_LOOKS = 500
"""Steps, each 20 ms of real time and more: a worker starts in a process of its own."""


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses(address: str) -> None:
    assert is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert Origins(("*",)).allows(f"https://{host}/x")


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_addresses_of_this_machine_and_around_it(address: str) -> None:
    assert not is_public(address)
    origins = Origins(("*", NAMED))
    assert not origins.allows_address("shop.test", 80, address)
    if address not in ("", "127.1"):  # as no browser asks for them
        host = f"[{address}]" if ":" in address else address
        assert not origins.allows(f"http://{host}:8001/")
        assert not origins.allows(f"ws://{host}:8001/")
        assert not origins.allows_connection(address, 8001)


async def test_this_machine_s_own_addresses_are_not_public() -> None:
    own = {one.address for card in psutil.net_if_addrs().values() for one in card}
    assert "127.0.0.1" in own
    assert not any(is_public(address) for address in own)


@pytest.mark.parametrize("host", ["localhost.", "LOCALHOST", "shop.localhost", "shop.localhost."])
async def test_names_of_this_machine(host: str) -> None:
    assert not Origins(("*", NAMED)).allows(f"http://{host}/")


async def test_what_the_task_names_beside_it_is_allowed() -> None:
    origins = Origins(("*", NAMED))
    assert origins.allows(f"{NAMED}/x")
    assert origins.allows("https://shop.test/")
    assert origins.allows_address("127.0.0.1", 8000, "127.0.0.1")
    origins.add_page("http://10.0.0.1/start")
    assert origins.allows("http://10.0.0.1/next")


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch(OUT + '/secret', {mode: 'no-cors'}).catch(() => 0)",
        "new WebSocket(OUT.replace('http', 'ws') + '/secret')",
        "new Image().src = '/away'",
        "open(OUT + '/secret')",
        "location = OUT + '/secret'",
        "new Worker(URL.createObjectURL(new Blob([`new WebSocket('${OUT.replace('http', 'ws')}"
        "/secret')`])))",
    ],
)
async def test_a_page_of_a_task_on_the_whole_web_does_not_reach_this_machine(
    open_page, site, attempt
) -> None:
    out = site.other_origin()
    site.redirects["/away"] = f"{out}/secret"
    page = await open_page(
        f"<button>Try</button><script>const OUT = '{out}';"
        f" document.querySelector('button').onclick = () => {{ {attempt} }}</script>",
        allowed=("*",),
    )
    refused = list((await page.env.step(call("click", page.bid("Try")))).refused)
    for looks in range(MOST_LOOKS):
        told = any(out.partition("//")[2] in one for one in refused)
        if told and looks >= 2:
            break
        await asyncio.sleep(0.02)
        refused += (await page.env.step("noop(300)")).refused
    assert "/secret" not in site.asked
    assert told, refused


@asynccontextmanager
async def gate(origins: Origins, refused: list[str]):
    opened = await Gate.open(
        origins.allows_connection,
        lambda host, port: refused.append(f"{host}:{port}"),
        lambda host, port: (host, port),
        origins.allows_address,
    )
    try:
        yield int(opened.address.rpartition(":")[2])
    finally:
        await opened.close()


async def answer(port: int, host: str, wanted: int) -> int:
    """What the gate says to a SOCKS request for a host by name."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = host.encode()
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03" + bytes([len(name)]) + name)
    writer.write(struct.pack(">H", wanted))
    await reader.readexactly(2)
    status = (await reader.readexactly(10))[1]
    writer.close()
    return status


async def test_a_name_that_leads_to_this_machine_is_refused_where_it_leads() -> None:
    # Looked up as a name, this number is 127.0.0.1: no name server is needed to show it.
    name = "2130706433"
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = host.getsockname()[1]
        refused: list[str] = []
        async with gate(Origins(("*",)), refused) as way:
            assert await answer(way, name, port) == 2
        assert refused == [f"{name}:{port}"]
        async with gate(Origins(("*", f"http://{name}:{port}")), refused) as way:
            assert await answer(way, name, port) == 0
        assert len(refused) == 1


async def test_what_is_no_host_name_is_not_reached() -> None:
    async with gate(Origins(("*",)), []) as way:
        assert await answer(way, "a" * 80 + ".test", 80) == 4
