"""Pages that break what they can reach are seen and acted on like any other."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

BREAKAGES = {
    "elements": """for (const name of ["getAttribute", "getBoundingClientRect", "getClientRects",
        "scrollIntoView", "hasAttribute", "querySelectorAll"])
        Element.prototype[name] = () => { throw Error("broken") };
        for (const name of ["tagName", "shadowRoot", "attributes", "innerHTML"])
        Object.defineProperty(Element.prototype, name, { get() { throw Error("broken") } });
        for (const name of ["childNodes", "parentNode", "nodeType", "ownerDocument"])
        Object.defineProperty(Node.prototype, name, { get() { throw Error("broken") } });""",
    "document": """for (const name of ["body", "title", "activeElement", "readyState"])
        Object.defineProperty(document, name, { get() { throw Error("broken") } });
        for (const name of ["elementFromPoint", "getAnimations", "querySelectorAll"])
        Document.prototype[name] = () => { throw Error("broken") };
        window.getComputedStyle = () => { throw Error("broken") };""",
    "built-ins": """JSON.stringify = () => '{"forged": true}'; JSON.parse = () => ({});
        Array.prototype.push = Array.prototype.map = () => { throw Error("broken") };
        Array.prototype[Symbol.iterator] = () => { throw Error("broken") };
        String.prototype.replace = String.prototype.trim = () => "forged";
        Object.prototype.toJSON = () => "forged"; Object.freeze = Object.keys = () => [];
        WeakMap = Map = Set = WeakSet = WeakRef = undefined; Math.round = () => 7;
        Reflect.apply = Function.prototype.call = Function.prototype.apply = () => "forged";
        Object.defineProperty(Object.prototype, "view", { get: () => 7, set() {} });""",
    "events": """EventTarget.prototype.addEventListener = EventTarget.prototype.dispatchEvent =
        () => { throw Error("broken") };
        MutationObserver = Event = InputEvent = MouseEvent = StaticRange = undefined;
        window.onerror = null; Symbol.for = () => "forged";""",
    "time": """Date.now = () => 7; performance.now = () => 7; setTimeout = setInterval = undefined;
        requestAnimationFrame = undefined; queueMicrotask = undefined;""",
    "names": """window.webdojo = { snapshot: () => "forged" }; delete window[Symbol.for("webdojo")];
        try { window[Symbol.for("webdojo")].restart = () => "forged" } catch {}
        for (const name of ["webdojo", "snapshot", "location2"])
          document.body.append(Object.assign(document.createElement("a"), { id: name, name }));""",
}


@pytest.mark.parametrize("what", BREAKAGES)
async def test_a_page_that_breaks_its_own_world_is_seen_and_used(open_page, what) -> None:
    page = await open_page(
        f"""<script>{BREAKAGES[what]}</script><p id=p>text</p>
        <button onclick="p.firstChild.data = 'hit'">Go</button>
        <input aria-label=Name><select aria-label=Pick><option>One<option>Two</select>
        <input type=checkbox aria-label=Box>"""
    )
    lines = [line.rpartition("[")[0] or line for line in page.first.outline.splitlines()]
    assert [line for line in lines if line and "webdojo" not in line][:5] == [
        'text"text"',
        'button"Go"',
        'textbox""#Name',
        'select"One"#Pick',
        'option"One"',
    ]
    assert page.first.title == "Test"
    seen = await page.look(call("click", page.bid("Go")))
    assert (seen.last_action_error, 'text"hit"' in seen.outline) == ("", True)
    seen = await page.look(call("fill", page.bid("Name"), "bob"))
    assert (seen.last_action_error, 'textbox"bob"' in seen.outline) == ("", True)
    seen = await page.look(call("select_option", page.bid("Pick"), "Two"))
    assert (seen.last_action_error, 'select"Two"' in seen.outline) == ("", True)
    seen = await page.look(call("check", page.bid("Box")))
    assert (seen.last_action_error, "checkbox" in seen.outline) == ("", True)


async def test_fields_named_like_properties_do_not_hide_their_form(open_page) -> None:
    names = ("tagName", "childNodes", "nodeType", "getAttribute", "parentNode", "attributes")
    more = ("disabled", "labels", "shadowRoot", "isConnected", "getBoundingClientRect", "id")
    fields = "".join(f"<input name={name} aria-label=f-{name}>" for name in (*names, *more))
    page = await open_page(
        f"""<img name=body><img name=title><img name=activeElement><img name=getAnimations>
        <img name=adoptedStyleSheets><img name=elementFromPoint><img name=querySelectorAll>
        <form onclick="1">{fields}<button onclick="p.textContent = 'hit'; return false">Go</button>
        </form><p id=p></p>"""
    )
    for name in (*names, *more):
        assert f"#f-{name}" in page.first.outline
    assert page.first.title == "Test"
    assert 'text"hit"' in (await page.look(call("click", page.bid("Go")))).outline


async def test_the_page_finds_no_trace_of_what_looks_at_it(open_page) -> None:
    page = await open_page(
        """<button onclick="p.textContent = [typeof webdojo, log.length]">Go</button>
        <p id=p></p><i id=i></i>
        <script>const log = []; const send = EventTarget.prototype.dispatchEvent;
        EventTarget.prototype.dispatchEvent = function (e) {
          log.push(e.type); return send.call(this, e) };
        const made = window.MouseEvent;
        window.MouseEvent = function (...v) { log.push(v); return new made(...v) };
        i.addEventListener("click", () => 1);
        new MutationObserver(r => log.push(...r)).observe(document.documentElement,
          { attributes: true, subtree: true });</script>"""
    )
    assert 'text"undefined,0"' in (await page.look(call("click", page.bid("Go")))).outline


async def test_who_listens_is_known_wherever_it_is_said(open_page) -> None:
    page = await open_page(
        """<div id=a>property</div><div id=b onclick="1">taken away</div><div id=host></div><script>
        a.onclick = () => 1; b.onclick = null;
        const early = document.createElement("div"); early.textContent = "detached";
        early.addEventListener("click", () => 1); document.body.append(early);
        const root = document.createElement("section");
        root.attachShadow({mode: "open"}).innerHTML =
          "<p><i>x</i><span id=in>in shadow</span></p><div id=deep></div>";
        root.shadowRoot.getElementById("in").addEventListener("click", () => 1);
        const deep = root.shadowRoot.getElementById("deep").attachShadow({mode: "open"});
        deep.innerHTML = "<span>deeper</span>"; deep.firstChild.onclick = () => 1;
        host.append(root);</script>"""
    )
    told = {line.rpartition("[")[0] for line in page.first.outline.splitlines()}
    assert told >= {'item"property"', 'item"detached"', 'item"in shadow"', 'item"deeper"'}
    assert not any(
        "taken away" in line and line.endswith("]") for line in page.first.outline.splitlines()
    )


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'none'",
        "default-src 'none'; sandbox",
        "require-trusted-types-for 'script'; trusted-types 'none'; script-src 'none'",
    ],
)
async def test_no_policy_keeps_a_page_from_being_seen(open_page, site, policy) -> None:
    site.headers["/"] = {"Content-Security-Policy": policy}
    page = await open_page("<button>Go</button><input aria-label=Name>")
    assert 'button"Go"' in page.first.outline
    seen = await page.look(call("click", page.bid("Go")))
    assert not seen.last_action_error
    seen = await page.look(call("fill", page.bid("Name"), "bob"))
    assert 'textbox"bob"' in seen.outline


async def test_a_page_that_is_xml_is_seen_as_any_other(open_page, site) -> None:
    site.pages["/"] = (
        "<html xmlns='http://www.w3.org/1999/xhtml'><body><button>Go</button><a href='/b'>Link</a>"
        "<input aria-label='Name'/><select><option>One</option></select><textarea>tt</textarea>"
        "</body></html>"
    )
    site.headers["/"] = {"Content-Type": "application/xhtml+xml"}
    page = await open_page("")
    for tag in ("<button bid=", "<a bid=", "<input bid=", "<select bid=", "<textarea bid="):
        assert tag in page.first.pruned_html
    seen = await page.look(call("fill", page.bid("Name"), "bob"))
    assert 'textbox"bob"' in seen.outline


FRAME = """<!doctype html><p>in {name}</p>
<button onclick="this.textContent = 'hit {name}'">Go {name}</button>
<input aria-label="Name {name}"><div id=d>Div {name}</div>
<script>d.addEventListener("click", () => {{ d.textContent = "listened {name}" }})</script>{more}"""


def frame(origin: str, path: str) -> str:
    style = "border:3px solid;padding:7px"
    return f"<iframe src='{origin}{path}' width=420 height=300 style='{style}'></iframe>"


async def test_frames_of_other_origins_are_seen_and_used_at_any_depth(open_page, site) -> None:
    other = site.other_origin()
    third = other.replace("localhost", "c.localhost")
    site.pages["/a"] = FRAME.format(name="a", more=frame(third, "/b"))
    site.pages["/b"] = FRAME.format(name="b", more=frame(site.origin, "/c"))
    site.pages["/c"] = FRAME.format(name="c", more="")
    sandboxed = f"<iframe sandbox='allow-scripts' src='{other}/d'></iframe>"
    site.pages["/d"] = FRAME.format(name="d", more="")
    page = await open_page(
        "<button>Top</button>" + frame(other, "/a") + sandboxed, allowed=(other, third)
    )
    for name in "abcd":
        assert f'text"in {name}"' in page.first.outline
    ids = [
        line.rpartition("[")[2] for line in page.first.outline.splitlines() if line.endswith("]")
    ]
    assert len(set(ids)) == len(ids) == 1 + 3 * 4
    for name in "cbad":
        seen = await page.look(call("click", page.bid(f"Go {name}")))
        assert (seen.last_action_error, f"hit {name}" in seen.outline) == ("", True)
        seen = await page.look(call("fill", page.bid(f"Name {name}"), "bob " + name))
        assert f'textbox"bob {name}"' in seen.outline
        assert seen.focused_element_bid == page.bid(f"Name {name}")
        seen = await page.look(call("click", page.bid(f"Div {name}")))
        assert (seen.last_action_error, f"listened {name}" in seen.outline) == ("", True)
    top, inner = seen.boxes[page.bid("Top")], seen.boxes[page.bid("Name c")]
    assert inner[0] > top[0] + 3 * 10


async def test_deep_pages_may_lie_in_frames_of_deep_pages(open_page, site) -> None:
    other = site.other_origin()
    site.pages["/a"] = "<div onclick=1>" * 180 + "<button>In a</button>" + frame(site.origin, "/b")
    site.pages["/b"] = "<div onclick=1>" * 180 + "<button>In b</button>"
    page = await open_page(
        "<div onclick=1>" * 180 + "<button>Top</button>" + frame(other, "/a"), allowed=(other,)
    )
    for name in ("Top", "In a", "In b"):
        assert name in page.first.pruned_html


@pytest.mark.parametrize("scale", ["1e25", "1e38"])
async def test_what_is_scaled_beyond_measure_is_looked_at(open_page, scale) -> None:
    huge = f"<button style='transform:scale({scale}) translate(9e30px)'>Huge</button>"
    page = await open_page(f"<button>Plain</button>{huge}<iframe style='transform:scale({scale})'>")
    assert "Plain" in page.first.pruned_html
    await page.look(call("press", page.bid("Plain"), "Enter"))


@pytest.mark.parametrize("paths", [("/a", "/late-b"), ("/late-a", "/b")])
async def test_frames_are_named_by_where_they_are(open_page, site, paths) -> None:
    """Whichever of the two comes first."""
    other = site.other_origin()
    third = other.replace("localhost", "c.localhost")
    site.pages[paths[0]], site.pages[paths[1]] = "<button>A</button>", "<button>B</button>"
    page = await open_page(frame(other, paths[0]) + frame(third, paths[1]), allowed=(other, third))
    assert [page.bid("A"), page.bid("B")] == ["a1", "b1"]


async def test_a_frame_of_another_origin_may_be_covered(open_page, site) -> None:
    site.pages["/a"] = FRAME.format(name="a", more="")
    page = await open_page(
        frame(site.other_origin(), "/a")
        + "<div onclick=1 style='position:fixed;inset:0'>Over</div>",
        allowed=(site.other_origin(),),
    )
    seen = await page.look(call("click", page.bid("Go a")))
    assert "is covered by element" in seen.last_action_error


async def test_a_page_of_a_file_shows_frames_of_the_web(chromium, site, tmp_path) -> None:
    from webdojo.envs.core import WebEnv
    from webdojo.envs.spec import EnvSpec

    site.pages["/a"] = FRAME.format(name="a", more="")
    (tmp_path / "x.html").write_text(frame(site.origin, "/a"))
    from webdojo.tasks.task import Outcome, Task

    class Mixed(Task):
        id = "test.mixed"
        allowed_origins = (site.origin,)

        async def setup(self, page, seed):
            await page.goto((tmp_path / "x.html").as_uri())
            return "Look."

        async def evaluate(self, page, answer):
            return Outcome(0.0, done=False)

    async with WebEnv(chromium, EnvSpec(modes=("outline",))) as env:
        outline = (await env.reset(Mixed(), 1)).outline
        assert 'button"Go a"' in outline
        bid = next(x for x in outline.splitlines() if "Go a" in x).rpartition("[")[2][:-1]
        assert "hit a" in (await env.step(call("click", bid))).observation.outline


async def test_a_drawing_alone_is_seen_and_clicked(open_page, site) -> None:
    """It is a document without a body."""
    site.pages["/"] = """<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200">
        <text y="40" onclick="this.textContent = 'hit'">Draw</text></svg>"""
    site.headers["/"] = {"Content-Type": "image/svg+xml"}
    page = await open_page("")
    assert page.first.url == site.origin + "/"
    assert (await page.look("mouse_click(10, 35)")).last_action_error == ""
    assert await page.js("document.documentElement.textContent.trim()") == "hit"
