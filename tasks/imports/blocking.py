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

REFUSALS = frozenset({401, 403, 407, 429, 451, 503})
"""Statuses with which sites turn visitors away."""
SHORT = 2500
"""Characters of text up to which a page can be nothing but a refusal."""
_SAYS = re.compile(
    r"\b(?:verify(?:ing)? (?:that )?you are (?:a )?human|are you a (?:human|robot)|i'?m not a robot"
    r"|access (?:to this page )?(?:has been |is )?denied|unusual (?:traffic|activity)"
    r"|checking your browser|just a moment\.\.\.|enable javascript and cookies to continue"
    r"|you have been blocked|request (?:was )?blocked|automated (?:access|requests|queries)"
    r"|pardon our interruption|attention required|bot (?:detection|protection)"
    r"|press (?:and|&) hold to confirm|complete the (?:security check|captcha))",
    re.IGNORECASE,
)
_WIDGET = (
    "iframe[src*='captcha'], iframe[src*='challenges.'], #captcha-form, .g-recaptcha, .h-captcha,"
    " #challenge-form, #px-captcha, .cf-turnstile"
)
_LOOK = f"""() => {{
  const seen = (element) => element.checkVisibility({{visibilityProperty: true}});
  const text = document.body?.innerText ?? "";
  const heading = [...document.querySelectorAll("h1, h2")].find(seen)?.innerText;
  return [
    performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
    document.title.slice(0, {SHORT}), (heading ?? text.trim().split("\\n")[0]).slice(0, {SHORT}),
    text.length,
    [...document.querySelectorAll("{_WIDGET}")].some(seen),
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
    asks_for_proof: bool
    """Whether there is a captcha on it."""

    @property
    def refusal(self) -> str:
        """How it turns the visitor away; empty if it does not.

        A refusal is short, and is answered with a refusing status, asks for a captcha, or has for
        its title or heading little else than such words: who quotes them, or writes about captchas,
        refuses nobody.
        """
        if self.characters > SHORT:
            return ""
        for line in (self.title, self.heading):
            said = _SAYS.search(line.replace("’", "'"))
            if said and 2 * len(said.group()) >= len(line.strip()):
                return f"the page says {said.group()!r}"
        if self.asks_for_proof:
            return "the page asks for a captcha"
        return f"the site answered with status {self.status}" if self.status in REFUSALS else ""


async def document_of(page: Page) -> Document:
    """What ``page`` shows now: its own document, and none of those in its frames."""
    return Document(*await page.evaluate(_LOOK))


def document_in(status: int, html: str) -> Document:
    """What an answer shows before any script of it has run."""
    soup = BeautifulSoup(html, "lxml")
    asks = soup.select_one(_WIDGET) is not None
    for unseen in soup(["script", "style", "noscript", "template"]):
        unseen.decompose()
    lines = list((soup.body or soup).stripped_strings)
    heading = soup.find(["h1", "h2"])
    return Document(
        status,
        soup.title.get_text() if soup.title else "",
        heading.get_text(" ", strip=True) if heading else next(iter(lines), ""),
        len(" ".join(lines)),
        asks,
    )


class Blocklist:
    """Hosts that are left out: one a line, subdomains included; ``#`` begins a comment."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self.hosts = frozenset(host.lower().strip(".") for host in hosts)

    @classmethod
    def read(cls, path: Path) -> Blocklist:
        """The list in a file; an empty one if there is no such file. Raises UserError."""
        hosts = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        for number, line in enumerate(lines, 1):
            host = line.partition("#")[0].strip()
            if host and ("/" in host or " " in host):
                raise UserError(
                    f"{path}, line {number}: {host!r} is no host; write one a line, as example.org"
                )
            hosts += [host] * bool(host)
        return cls(hosts)

    def holds(self, url: str) -> bool:
        """Whether the host of an address, or a domain that it lies in, is on the list."""
        host = (urlsplit(url).hostname or "").lower()
        parts = host.split(".")
        return any(".".join(parts[i:]) in self.hosts for i in range(len(parts)))
