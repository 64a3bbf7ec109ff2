"""What a task does not name is not reached: not one connection, whatever a page tries."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Forbidden:
    """Real sockets on one port, TCP and UDP, that keep whatever knocks."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._accept, self._read)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            connection.settimeout(2)
            try:
                self.hits.append(connection.recv(200).decode("latin-1").split("\r\n")[0])
            except OSError:
                self.hits.append("connection")
            connection.close()

    def _read(self) -> None:
        while True:
            try:
                packet = self._udp.recv(2000)
            except OSError:
                return
            if not packet:  # what closing brings
                return
            self.hits.append(f"udp {len(packet)}")

    def close(self) -> None:
        for closing in (self._tcp, self._udp):
            with suppress(OSError):
                closing.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # it may not have read yet what has come
            thread.join(5)
        for closing in (self._tcp, self._udp):
            closing.close()


@pytest.fixture
def forbidden() -> Iterator[Forbidden]:
    server = Forbidden()
    yield server
    server.close()


async def test_the_server_that_nobody_may_reach_would_notice(forbidden) -> None:
    with socket.create_connection(("127.0.0.1", forbidden.port)) as knocking:
        knocking.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        knocking.recv(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knocking:
        knocking.sendto(b"abc", ("127.0.0.1", forbidden.port))
    forbidden.close()
    assert sorted(forbidden.hits) == ["GET /x HTTP/1.1", "udp 3"]


ATTEMPTS = {
    "fetch": "fetch(OUT + '/a').catch(() => 0)",
    "no-cors fetch": "fetch(OUT + '/a', {mode: 'no-cors', keepalive: true}).catch(() => 0)",
    "image": "new Image().src = OUT + '/a'",
    "beacon": "navigator.sendBeacon(OUT + '/a', 'x')",
    "WebSocket": "new WebSocket(SOCKET + '/a')",
    "EventSource": "new EventSource(OUT + '/a')",
    "worker": "new Worker(URL.createObjectURL(new Blob([`fetch('${OUT}/a').catch(() => 0);"
    " new WebSocket('${SOCKET}/b'); try { importScripts('${OUT}/c') } catch {}`])))",
    "WebTransport in a worker": "new Worker(URL.createObjectURL(new Blob(["
    "`new WebTransport('${OUT.replace('http', 'https')}/a')`])))",
    "shared worker": "new SharedWorker(URL.createObjectURL(new Blob(["
    "`fetch('${OUT}/a').catch(() => 0)`])))",
    "service worker": "navigator.serviceWorker.register('/worker.js').catch(() => 0)",
    "window.open": "open(OUT + '/a')",
    "popup that fetches": "open('/popup')",
    "popup without an opener": "open(OUT + '/a', '_blank', 'noopener')",
    "blank popup written to": "open('').document.write(`<img src='${OUT}/a'>`)",
    "navigation": "location = OUT + '/a'",
    "meta refresh": "document.head.insertAdjacentHTML('beforeend',"
    " `<meta http-equiv=refresh content='0;url=${OUT}/a'>`)",
    "redirect": "fetch('/away').catch(() => 0); new Image().src = '/away'",
    "redirected navigation": "location = '/away'",
    "prefetch": "document.head.insertAdjacentHTML('beforeend', `"
    "<link rel=prefetch href='${OUT}/a'>"
    "<link rel=preconnect href='${OUT}'><link rel=dns-prefetch href='${OUT}'>"
    "<link rel=preload as=script href='${OUT}/b'>"
    "<link rel=modulepreload href='${OUT}/c'>`)",
    "speculation rules": "{ const s = document.createElement('script');"
    " s.type = 'speculationrules'; s.textContent = JSON.stringify({"
    " prefetch: [{urls: [OUT + '/a'], eagerness: 'immediate'}],"
    " prerender: [{urls: [OUT + '/b'], eagerness: 'immediate'}]}); document.head.append(s) }",
    "frame": "document.body.insertAdjacentHTML('beforeend', `<iframe src='${OUT}/a'></iframe>"
    "<object data='${OUT}/b'></object><embed src='${OUT}/c'><video src='${OUT}/d'></video>`)",
    "frame within a frame": "document.body.insertAdjacentHTML('beforeend',"
    " `<iframe srcdoc=\"<iframe src='${OUT}/a'></iframe>\"></iframe>`)",
    "style": "document.head.insertAdjacentHTML('beforeend', `<style>@import url(${OUT}/a);"
    " @font-face { font-family: f; src: url(${OUT}/b) } body { font-family: f;"
    " background: url(${OUT}/c) }</style>`)",
    "form": "{ const f = document.createElement('form'); f.method = 'post'; f.action = OUT + '/a';"
    " document.body.append(f); f.submit() }",
    "ping": "{ const a = document.createElement('a'); a.href = '#x'; a.ping = OUT + '/a';"
    " document.body.append(a); a.click() }",
    "download": "{ const a = document.createElement('a'); a.href = OUT + '/a'; a.download = 'x';"
    " document.body.append(a); a.click() }",
    "WebRTC": "{ const f = document.createElement('iframe'); document.body.append(f);"
    " for (const w of [window, f.contentWindow]) { const P = w.RTCPeerConnection; if (P) {"
    " const p = new P({iceServers: [{urls: 'stun:' + OUT.slice(7)}]});"
    " p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o)) } } }",
    "WebRTC in a blank popup": "{ const P = open('').RTCPeerConnection; if (P) {"
    " const p = new P({iceServers: [{urls: 'stun:' + OUT.slice(7)}]});"
    " p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o)) } }",
    "script": "document.head.append(Object.assign(document.createElement('script'),"
    " {src: OUT + '/a'}))",
}

SILENT = {
    *("WebRTC", "WebRTC in a blank popup", "service worker", "WebTransport in a worker"),
    *("ping", "speculation rules", "prefetch"),
}
"""The browser makes these when it is idle, if at all, or keeps their failure to itself."""
LOOKS, SILENT_LOOKS, MOST_LOOKS = 2, 10, 200
"""Steps after the attempt, 20 ms of real time and more each: a worker starts in a process of its
own, and what nobody tells of may come late."""


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_page_reaches_nothing_else(open_page, site, forbidden, attempt) -> None:
    names = f"const OUT = '{forbidden.origin}', SOCKET = '{forbidden.socket}';"
    site.redirects["/away"] = forbidden.origin + "/away"
    site.pages["/popup"] = f"<p>popup<script>{names} fetch(OUT + '/a').catch(() => 0)</script>"
    site.pages["/worker.js"] = f"fetch('{forbidden.origin}/a')"
    site.headers["/worker.js"] = {"Content-Type": "text/javascript"}
    page = await open_page(
        f"<button>Try</button><script>{names} document.querySelector('button').onclick ="
        f" () => {{ {ATTEMPTS[attempt]} }}</script>"
    )
    refused = [*(await page.env.step(call("click", page.bid("Try")))).refused]
    for looks in range(MOST_LOOKS):
        told = any(str(forbidden.port) in one for one in refused)
        if looks >= LOOKS and (told or (attempt in SILENT and looks >= SILENT_LOOKS)):
            break
        await asyncio.sleep(0.02)
        refused += (await page.env.step("noop(300)")).refused
    forbidden.close()
    assert forbidden.hits == []
    assert page.env.page.page.url.startswith((site.origin, "about:blank"))
    if attempt not in SILENT:
        assert told, refused


async def test_files_outside_the_task_s_folder_stay_closed(chromium, tmp_path) -> None:
    from webdojo.envs.core import WebEnv
    from webdojo.envs.spec import EnvSpec
    from webdojo.tasks.task import Outcome, Task

    inside, outside = tmp_path / "site", tmp_path / "secret.html"
    inside.mkdir()
    outside.write_text("<title>secret</title><p>secret text")
    (inside / "other.html").write_text("<p>other text")
    (inside / "index.html").write_text(
        f"""<a href="{outside.as_uri()}">away</a>
        <a target=_blank href="{outside.as_uri()}">blank</a>
        <button onclick="window.open('{outside.as_uri()}')">pop</button>
        <iframe src="{outside.as_uri()}"></iframe><iframe src="other.html"></iframe>"""
    )

    class Files(Task):
        id = "test.files"
        viewport = (500, 400)

        async def setup(self, page, seed):
            await page.goto((inside / "index.html").as_uri())
            return "Read."

        async def evaluate(self, page, answer):
            return Outcome(0.0, done=False)

    async with WebEnv(chromium, EnvSpec(modes=("outline", "html"))) as env:
        seen = await env.reset(Files(), 1)
        assert "other text" in seen.outline
        for action in ('click("1")', 'click("2")', 'click("3")', call("goto", outside.as_uri())):
            step = await env.step(action)
            assert "secret text" not in step.observation.outline + step.observation.html
            assert step.observation.open_pages_urls == ((inside / "index.html").as_uri(),)
            assert step.observation.notices or step.observation.last_action_error


PERMISSIONS = {
    "place": "new Promise((y, n) => navigator.geolocation.getCurrentPosition(y, n))",
    "notes": "Notification.requestPermission()",
    "camera": "navigator.mediaDevices.getUserMedia({video: true})",
    "clip": "navigator.clipboard.readText()",
    "midi": "navigator.requestMIDIAccess({sysex: true})",
}


async def test_permissions_are_denied(open_page) -> None:
    page = await open_page(
        "".join(
            f"""<button onclick="{asked}.then(v => {name}.textContent = '{name} ' + v,
            e => {name}.textContent = '{name} denied')">{name}</button><p id={name}></p>"""
            for name, asked in PERMISSIONS.items()
        )
    )
    for name in PERMISSIONS:
        await page.look(call("click", page.bid(name)))
        seen = await page.look("noop(500)")
        for _ in range(200):  # devices are looked for in real time
            if f'text"{name} ' in seen.outline:
                break
            await asyncio.sleep(0.1)
            seen = await page.look("noop(1)")
        answer = "default" if name == "notes" else "denied"
        assert f'text"{name} {answer}"' in seen.outline


async def test_downloads_land_in_the_episode_s_folder_and_go_with_it(open_page, site) -> None:
    site.pages["/file"] = "content"
    site.headers["/file"] = {"Content-Disposition": 'attachment; filename="../../a.bin"'}
    page = await open_page(
        """<a href=/file>get</a><input type=file aria-label=Give
        onchange="this.files[0].text().then(t => p.textContent = t)"><p id=p></p>"""
    )
    step = await page.env.step(call("click", page.bid("get")))
    (path,) = step.downloads
    assert path.read_text() == "content"
    assert path.parent == page.env.tabs.downloads.folder
    assert step.observation.notices == (f"the page gave the file {path.name!r} of 7 bytes",)
    step = await page.env.step(call("click", page.bid("get")))
    assert len({place.name for place in step.downloads}) == 2
    seen = await page.look(call("upload_file", page.bid("Give"), path.name))
    assert not seen.last_action_error
    for _ in range(200):  # a file is read in real time
        if 'text"content"' in seen.outline:
            break
        await asyncio.sleep(0.05)
        seen = await page.look("noop(1)")
    assert 'text"content"' in seen.outline
    await page.env.close()
    assert not path.parent.exists()
