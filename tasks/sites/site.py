"""A site that a task brings with it: a folder of files, or a web application."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from webdojo.tasks.errors import UserError
from webdojo.tasks.sites.episode import SiteEpisode
from webdojo.tasks.sites.server import DOMAIN
from webdojo.tasks.sites.static import StaticSite, file_of

if TYPE_CHECKING:
    from playwright.async_api import Page

MakeApplication = Callable[..., Any]
MOST_LISTED = 1000
"""Files among which the nearest name is looked for."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Site:
    """A site under ``http://NAME.localhost``, with an application of its own for each episode.

        shop = Site("my-shop", folder=Path(__file__).parent / "shop")    # files
        shop = Site("my-shop", application=make_shop)                    # ASGI or WSGI

    ``application`` makes a new application, not one that is shared: what it keeps in itself is
    then the episode's own. It may take one argument, a folder that is the episode's own too, for a
    database say. Two paths are kept from pages: ``POST /reset`` is asked with ``{"seed": n}`` when
    an episode begins, and ``GET /state`` gives what evaluators ask about; both may be left out.

    A task begins an episode in ``setup``: ``self.shop = await shop.begin(page, seed)``.
    Raises UserError where the name is no host name or the folder is not there.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: str | Path | None = None,
        application: MakeApplication | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"site {name!r}: a name is lower-case letters, digits and hyphens, as in 'my-shop'"
            )
        if (folder is None) == (application is None):
            raise UserError(f"site {name!r}: give it either a folder or an application")
        if folder is not None and not Path(folder).is_dir():
            raise UserError(f"site {name!r}: there is no folder {str(folder)!r}")
        if folder is not None and Path(folder).resolve() == Path(folder).resolve().parent:
            raise UserError(
                f"site {name!r}: {str(folder)!r} is the whole disk; give one folder of it"
            )
        if application is not None and not _makes_something(application):
            raise UserError(
                f"site {name!r}: application must be a function that makes one, with no argument"
                " or one (a folder), so that every episode gets its own: `lambda: app` shares one"
            )
        self.name = name
        self._folder = None if folder is None else Path(folder)
        self._make = application

    @property
    def origin(self) -> str:
        """Where pages find it."""
        return f"http://{self.name}{DOMAIN}"

    @property
    def is_static(self) -> bool:
        """Whether it is a folder of files."""
        return self._folder is not None

    def url(self, path: str = "/") -> str:
        """The address of a page; raises UserError if a folder of files has none of that name."""
        if self._folder is not None:
            _check_page(self.name, self._folder, path)
        return self.origin + "/" + path.lstrip("/")

    async def begin(self, page: Page, seed: int) -> SiteEpisode:
        """Start the site for the pages of this page's context, until that is closed."""
        return await SiteEpisode.begin(self, page.context, seed)

    def make_application(self, folder: Path) -> Any:
        """A new application; ``folder`` is its episode's."""
        if self._folder is not None:
            return StaticSite(self._folder)
        assert self._make is not None
        made = self._make(*([folder] if _parameters(self._make) else []))
        if not callable(made):
            raise UserError(
                f"site {self.name!r}: application made {made!r}, which is no ASGI or WSGI"
                " application; return the application"
            )
        return made


_known: dict[str, Site] = {}
_shared_by: dict[str, str] = {}


def share_site(site: Site) -> Site:
    """Let task files name this site; raises UserError if another file shares one of that name.

    A file that is executed anew shares its sites anew.
    """
    caller = sys._getframe(1)
    place = caller.f_globals.get("__file__") or caller.f_code.co_filename
    other = _shared_by.get(site.name, place)
    if other != place and Path(other).exists():
        raise UserError(
            f"{place}: site {site.name!r} is shared by {other} already; give one of them another"
            " name"
        )
    _shared_by[site.name] = place
    _known[site.name] = site
    return site


def shared_sites() -> tuple[Site, ...]:
    """The sites that task files can name."""
    return tuple(_known.values())


def shared_site(name: str, beside: Iterable[str] = ()) -> Site:
    """A site by its name; raises UserError naming the nearest of these and those ``beside``."""
    if name in _known:
        return _known[name]
    near = get_close_matches(name, [*beside, *_known], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "none of this name is shared yet;"
    raise UserError(
        f"no site {name!r}: {hint} describe it under [sites.{name}], or load the Python file that"
        " calls share_site before this one"
    )


def _check_page(name: str, folder: Path, path: str) -> None:
    wanted = unquote(urlsplit(path).path)
    if file_of(folder, wanted) is not None:
        return
    pages = [f"/{file.relative_to(folder).as_posix()}" for file in _some_files(folder)]
    near = get_close_matches("/" + wanted.lstrip("/"), pages, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "put it there, or name one that is"
    raise UserError(f"site {name!r}: there is no page {path!r} in {folder}; {hint}")


def _some_files(folder: Path) -> Iterator[Path]:
    return islice((file for file in folder.rglob("*") if file.is_file()), MOST_LISTED)


def _makes_something(function: object) -> bool:
    return (
        callable(function)
        and not inspect.iscoroutinefunction(function)
        and _parameters(function) in (0, 1)
    )


def _parameters(function: Callable[..., Any]) -> int:
    """How many arguments must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )
