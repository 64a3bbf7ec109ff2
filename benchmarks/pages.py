"""Large real pages to measure on: admin templates, documentation, a web application.

    python benchmarks/pages.py

fetches the packages they come in (npm, Debian) into build/pages; the application, Datasette over a
generated database, runs from .venv-browsergym (scripts/setup-browsergym.sh). All are served here.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
NPM = ("admin-lte@3.2.0", "startbootstrap-sb-admin-2@4.1.4")
DEBIAN = (
    *("git-doc", "bash-doc", "sqlite3-doc", "postgresql-doc-15", "debian-policy"),
    *("apache2-doc", "python-django-doc"),
)
DJANGO = "python-django-doc/usr/share/doc/python-django-doc/html"
POSTGRES = "postgresql-doc-15/usr/share/doc/postgresql-doc-15/html"
FILES = {
    "adminlte-dashboard": "admin-lte/index.html",
    "adminlte-widgets": "admin-lte/pages/widgets.html",
    "adminlte-tables": "admin-lte/pages/tables/data.html",
    "adminlte-forms": "admin-lte/pages/forms/advanced.html",
    "adminlte-mailbox": "admin-lte/pages/mailbox/mailbox.html",
    "sb-admin-dashboard": "startbootstrap-sb-admin-2/index.html",
    "sb-admin-tables": "startbootstrap-sb-admin-2/tables.html",
    "git-log": "git-doc/usr/share/doc/git-doc/git-log.html",
    "policy-control": "debian-policy/usr/share/doc/debian-policy/policy.html/ch-controlfields.html",
    "postgres-json": f"{POSTGRES}/functions-json.html",
    "postgres-select": f"{POSTGRES}/sql-select.html",
    "apache-core": "apache2-doc/usr/share/doc/apache2-doc/manual/en/mod/core.html",
    "sqlite-windows": "sqlite3-doc/usr/share/doc/sqlite3/windowfunctions.html",
    "django-settings": f"{DJANGO}/ref/settings.html",
    "git-config": "git-doc/usr/share/doc/git-doc/git-config.html",
    "bash-manual": "bash-doc/usr/share/doc/bash/bashref.html",
}
"""Names of pages and where they lie below ``build/pages``."""
APPLICATION = {
    "datasette-orders": "/shop/orders",
    "datasette-orders-500": "/shop/orders?_size=500&_facet=status",
    "datasette-database": "/shop",
}
"""The same for paths of the application."""
ROWS = 600


@dataclass(frozen=True)
class RealPage:
    """A page and where it is served."""

    name: str
    url: str


def fetch() -> None:
    """Get and unpack what is not there yet; raises CalledProcessError."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for package in NPM:
        folder = PAGES / package.split("@")[0]
        if not folder.is_dir():
            name = _output(["npm", "pack", "--silent", package]).split()[-1]
            with tarfile.open(PAGES / name) as archive:
                archive.extractall(PAGES / "unpacked", filter="data")
            (PAGES / "unpacked" / "package").rename(folder)
    for package in DEBIAN:
        folder = PAGES / package
        if not folder.is_dir():
            _output(["apt-get", "download", "-qq", package])
            (found,) = PAGES.glob(f"{package}_*.deb")
            _output(["dpkg-deb", "-x", str(found), str(folder)])
    for path in PAGES.rglob("*.html.gz"):
        with gzip.open(path) as packed, path.with_suffix("").open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        path.unlink()


def _output(command: list[str]) -> str:
    return subprocess.run(command, cwd=PAGES, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def served(names: list[str] | None = None) -> Iterator[list[RealPage]]:
    """Serve the pages; those that cannot be had are left out, and named on stderr."""
    fetch()
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(_static())
        pages = [
            RealPage(name, f"{origin}/{path}")
            for name, path in FILES.items()
            if _is_there(PAGES / path)
        ]
        application = stack.enter_context(_datasette())
        if application:
            pages += [RealPage(name, application + path) for name, path in APPLICATION.items()]
        yield [page for page in pages if names is None or page.name in names]


def _is_there(path: Path) -> bool:
    if not path.is_file():
        print(f"pages: {path.relative_to(ROOT)} is not there: left out", file=sys.stderr)
    return path.is_file()


@contextlib.contextmanager
def _static() -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(PAGES)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextlib.contextmanager
def _datasette() -> Iterator[str]:
    program = ROOT / ".venv-browsergym" / "bin" / "datasette"
    if not program.exists():
        print("pages: no Datasette; run scripts/setup-browsergym.sh", file=sys.stderr)
        yield ""
        return
    database = PAGES / "shop.db"
    if not database.exists():
        _make_database(database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "serve", database, "--port", str(port), "--setting", "max_returned_rows", "1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _answering(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()


def _answering(origin: str, patience_s: float = 60) -> str:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(origin):
            return origin
        time.sleep(0.2)
    raise TimeoutError(f"{origin} did not answer within {patience_s:g} s")


def _make_database(path: Path) -> None:
    rng = random.Random(0)
    goods = ("lamp", "chair", "desk", "shelf", "rug", "mirror", "clock", "sofa")
    rows = [
        (
            number,
            f"{rng.choice('ABCDEFGH')}. {rng.choice(('Ng', 'Diaz', 'Okoro', 'Lind', 'Sato'))}",
            f"{rng.choice(('oak', 'steel', 'linen', 'glass'))} {rng.choice(goods)}",
            rng.randint(1, 9),
            round(rng.uniform(5, 900), 2),
            rng.choice(("open", "paid", "sent", "returned")),
            f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        )
        for number in range(1, ROWS + 1)
    ]
    with sqlite3.connect(path) as database:
        database.execute(
            "create table orders (id integer primary key, customer, product, count, price, status,"
            " day)"
        )
        database.executemany("insert into orders values (?, ?, ?, ?, ?, ?, ?)", rows)


if __name__ == "__main__":
    with served() as found:
        for page in found:
            with urllib.request.urlopen(page.url) as answer:
                print(f"{page.name:24}{len(answer.read()):>10} bytes")
