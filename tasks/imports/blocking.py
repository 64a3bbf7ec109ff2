"""Sites that will not have the agent: lists of them, and pages that say so.

A blocked page says nothing about the agent, so its episode is counted apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from playwright.async_api import Page

REFUSALS = frozenset({401, 403, 405, 407, 429, 451, 503})
"""Statuses with which sites turn visitors away; 405 where a firewall asks for a captcha."""
BROKEN = frozenset({500, 502, 504, *range(520, 528)})
"""Statuses that say that there is no site behind its address, or that it is out of order."""
AWAY = "the site cannot be reached"
SHORT = 2500
"""Characters of text up to which a page can be nothing but a refusal."""
FEW = 4
"""Links and buttons up to which there is little to act on, if there is no field to fill in."""
_HUMAN = r"you(?: are|'re) (?:(?:a )?human|not a (?:ro)?bot)"
_SAYS = re.compile(
    rf"\b(?:(?:verify(?:ing)?|confirm|prove)(?: that)? {_HUMAN}|are you a (?:human|robot)"
    rf"|(?:sorry, )?(?:we just need to )?make sure {_HUMAN}|i'?m not a robot|human verification"
    r"|robot or human|human or robot|enter the characters you see below"
    r"|access (?:to this page )?(?:has been |is )?denied|unusual (?:traffic|activity)"
    r"|checking your browser|just a moment\.\.\.|enable javascript and cookies to continue"
    r"|you have been blocked|request (?:was )?blocked|automated (?:access|requests|queries)"
    r"|request unsuccessful\. incapsula incident|incapsula incident id"
    r"|pardon our interruption|attention required|bot (?:detection|protection)"
    r"|press (?:and|&) hold to confirm|complete the (?:security check|captcha))",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\s+[-–—|·•]\s+|:\s+")
"""What parts a title or heading into the matter and the name of a site, say."""
# Those that show themselves at a form, or nowhere, stop nobody from looking at the page.
_WIDGET = (
    "iframe[src*='captcha']:not([src*='/anchor']), iframe[src*='challenges.'], #captcha-form,"
    " .g-recaptcha:not(button, input, [data-size='invisible']), .h-captcha:not(button, input),"
    " #challenge-form, #px-captcha, .cf-turnstile, iframe[src*='_Incapsula_Resource']"
)
_FIELD = (
    "input:not([type=hidden], [type=submit], [type=button], [type=checkbox], [type=radio]),"
    " select, textarea"
)
_PRESSED = "a[href], button, input[type=submit], input[type=button]"
_LOOK = f"""() => {{
  const seen = (element) => element.checkVisibility({{visibilityProperty: true}});
  const text = document.body?.innerText ?? "";
  const heading = [...document.querySelectorAll("h1, h2")].find(seen)?.innerText;
  const widgets = [...document.querySelectorAll("{_WIDGET}")]
    .filter((widget) => seen(widget) && !widget.closest(".grecaptcha-badge"));
  const others = (selector) => [...document.querySelectorAll(selector)]
    .filter((one) => seen(one) && !widgets.some((widget) => widget.contains(one))).length;
  return [
    performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
    document.title.slice(0, {SHORT}), (heading ?? text.trim().split("\\n")[0]).slice(0, {SHORT}),
    text.length, widgets.length > 0, !others("{_FIELD}") && others("{_PRESSED}") <= {FEW},
  ];
}}"""


@dataclass(frozen=True, slots=True)
class Document:
    """What a page shows of whether it turns the visitor away."""

    status: int
    """That it was answered with."""
    title: str
    heading: str
    """The first heading, or else the first line."""
    characters: int
    """Length of its text."""
    has_captcha: bool
    bare: bool
    """Whether there is little to act on besides."""

    @property
    def refusal(self) -> str:
        """How it turns the visitor away; empty if it does not.

        A refusal is short, and is answered with a refusing status, has little but a captcha to act
        on, or has for its title or heading little else than such words (and a site's name, where
        there is little to act on): who quotes them, or writes about captchas, refuses nobody. A
        page answered with an error of the server, or of what stands before it, is away.
        """
        if self.status in BROKEN:
            return AWAY
        if self.characters > SHORT:
            return ""
        for line in (self.title, self.heading):
            for part in (line, *(_PARTS.split(line) if self.bare else ())):
                said = _SAYS.search(part.replace("’", "'"))
                if said and 2 * len(said.group()) >= len(part.strip()):
                    return f"the page says {said.group()!r}"
        if self.has_captcha and self.bare:
            return "the page asks for a captcha"
        return f"the site answered with status {self.status}" if self.status in REFUSALS else ""


async def document_of(page: Page) -> Document:
    """What ``page`` shows now: its own document, and none of those in its frames."""
    return Document(*await page.evaluate(_LOOK))


def document_in(status: int, html: str) -> Document:
    """What an answer shows before any script of it has run."""
    soup = BeautifulSoup(html, "lxml")
    widgets = [w for w in soup.select(_WIDGET) if not w.find_parent(class_="grecaptcha-badge")]
    inside = {id(tag) for widget in widgets for tag in (widget, *widget.find_all())}
    fields, pressed = (
        sum(id(tag) not in inside for tag in soup.select(which)) for which in (_FIELD, _PRESSED)
    )
    for unseen in soup(["script", "style", "noscript", "template"]):
        unseen.decompose()
    lines = list((soup.body or soup).stripped_strings)
    heading = soup.find(["h1", "h2"])
    return Document(
        status,
        soup.title.get_text() if soup.title else "",
        heading.get_text(" ", strip=True) if heading else next(iter(lines), ""),
        len(" ".join(lines)),
        bool(widgets),
        not fields and pressed <= FEW,
    )


_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?|[\da-fA-F:.]*:[\da-fA-F:.]*:[\da-fA-F:.]*")
"""A name or an address of the internet."""


class Blocklist:
    """Hosts that are left out: one a line, subdomains included; ``#`` begins a comment."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self.hosts = frozenset(host.lower().strip(".") for host in hosts)

    @classmethod
    def read(cls, path: Path) -> Blocklist:
        """The list in a file; an empty one if there is no such file. Raises UserError."""
        hosts = []
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        for number, line in enumerate(lines, 1):
            host = line.partition("#")[0].strip()
            if host and not _HOST.fullmatch(host):
                raise UserError(
                    f"{path}, line {number}: {host!r} is no host; write one a line, without port or"
                    " path, as example.org, which stands for what lies in it too"
                )
            hosts += [host] * bool(host)
        return cls(hosts)

    def holds(self, url: str) -> bool:
        """Whether the host of an address, or a domain that it lies in, is on the list."""
        host = (urlsplit(url).hostname or "").lower().rstrip(".")
        parts = host.split(".")
        return any(".".join(parts[i:]) in self.hosts for i in range(len(parts)))
