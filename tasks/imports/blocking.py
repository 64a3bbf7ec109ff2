"""Sites that will not have the agent: lists of them, and pages that say so.

A blocked page says nothing about the agent, so its episode is counted apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
  return [
    document.title, document.body?.innerText ?? "",
    [...document.querySelectorAll("{_WIDGET}")].some(seen),
  ];
}}"""


async def blocked_by(page: Page, status: int | None = None) -> str:
    """How the page turns the visitor away; empty if it does not.

    ``status`` is the one that its document was answered with. A page counts as a refusal if it is
    short and asks for proof of being human, or says so, or was answered with a refusing status: an
    article on captchas does not.
    """
    if page.url.startswith("chrome-error:"):
        return "the site cannot be reached"
    title, text, widget = await page.evaluate(_LOOK)
    if len(text) > SHORT:
        return ""
    said = _SAYS.search(f"{title}\n{text}".replace("’", "'"))
    if said:
        return f"the page says {said.group()!r}"
    if widget:
        return "the page asks for a captcha"
    return f"the site answered with status {status}" if status in REFUSALS else ""


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
