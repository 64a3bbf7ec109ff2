"""What browsers give pages and an episode's pages do not have."""

from __future__ import annotations

import asyncio

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACES = {
    "the page": "window",
    "a frame": "document.body.appendChild(document.createElement('iframe')).contentWindow",
    "a frame of its own address": "document.querySelector('iframe').contentWindow",
}
NAMES = ("RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport")
REGISTERS = {
    "as pages do": "navigator.serviceWorker.register('/worker.js')",
    "by its prototype": "ServiceWorkerContainer.prototype.register.call("
    "navigator.serviceWorker, '/worker.js')",
    "in a frame": "document.body.appendChild(document.createElement('iframe'))"
    ".contentWindow.navigator.serviceWorker.register('/worker.js')",
}


@pytest.mark.parametrize("place", PLACES)
async def test_no_page_speaks_past_the_gate(open_page, site, place) -> None:
    # Both speak UDP, of which a proxy for TCP knows nothing.
    site.pages["/frame"] = "<p>frame"
    page = await open_page("<iframe src=/frame></iframe>")
    names = ", ".join(f"'{name}'" for name in ("fetch", *NAMES))
    found = await page.js(
        f"((w) => [{names}].map((name) => typeof w[name]).join())({PLACES[place]})"
    )
    assert found == "function,undefined,undefined,undefined"


@pytest.mark.parametrize("way", REGISTERS)
async def test_no_service_worker_is_installed(open_page, site, way) -> None:
    # It would go on between episodes, by a clock of its own.
    site.pages["/worker.js"] = "addEventListener('fetch', () => 0)"
    site.headers["/worker.js"] = {"Content-Type": "text/javascript"}
    page = await open_page(
        f"""<button>Register</button><p id=told></p><script>
        document.querySelector('button').onclick = async () => {{
          try {{ told.textContent = `got ${{await {REGISTERS[way]}}}` }}
          catch (error) {{ told.textContent = `failed: ${{error}}` }} }}</script>"""
    )
    await page.look(call("click", page.bid("Register")))
    for _ in range(100):  # where one is installed, that takes real time
        seen = await page.look("noop(100)")
        if "got" in seen.outline or "failed" in seen.outline:
            break
        await asyncio.sleep(0.1)
    assert "got undefined" in seen.outline
    assert "/worker.js" not in site.asked
