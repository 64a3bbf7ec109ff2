"""Install a Chromium: Playwright's own where it can be downloaded, else the distribution's.

Part of ``scripts/setup``. Nothing is installed where a headless shell already works: it starts in
a ninth of the time of a full Chromium, which is used only where nothing lighter can be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from webdojo.doctor import check_chromium
from webdojo.envs.browser import find_chromium
from webdojo.tasks.errors import UserError

DOWNLOAD_BOUND_S = 300
APT_BOUND_S = 600
SHELL = "chromium-headless-shell"
# A headless shell from a distribution recommends fonts; a bare machine has none to draw with.
DEBIAN_PACKAGES = (SHELL, "fonts-liberation")


def main() -> None:
    """Install a Chromium if there is none that works; exit with a sentence if none can be had."""
    found = check_chromium()
    if found.status == "ok" and (os.environ.get("WEBDOJO_CHROMIUM") or _is_shell(find_chromium())):
        say(f"using Chromium {found.detail}")
        return
    if os.environ.get("WEBDOJO_CHROMIUM"):
        fail(f"{found.detail}; it is what WEBDOJO_CHROMIUM names")
    for attempt in (download, add_libraries, install_from_distribution):
        if attempt() and (found := check_chromium()).status == "ok":
            say(f"using Chromium {found.detail}")
            return
    if found.status == "ok":
        say(f"using the full Chromium that is there, slower than {SHELL}: {found.detail}")
        return
    fail(
        "no Chromium here works, and none could be downloaded or installed: install your system's"
        f" package {SHELL} or chromium, or set WEBDOJO_CHROMIUM, and run `make setup` again"
    )


def download() -> bool:
    """Playwright's own build; False if it cannot be downloaded in time."""
    say("downloading Playwright's headless Chromium (about 120 MB)")
    # A network that swallows connections is told from a slow one by the connection's own bound.
    environment = {**os.environ, "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000"}
    command = [sys.executable, "-m", "playwright", "install", SHELL]
    if run(command, DOWNLOAD_BOUND_S, environment):
        return True
    say("it cannot be downloaded here")
    return False


def add_libraries() -> bool:
    """System libraries that a downloaded Chromium needs, where this user may install them."""
    if not _may_install() or not _has_downloaded():
        return False
    say("adding the system libraries that it lacks, with apt-get")
    command = [sys.executable, "-m", "playwright", "install-deps", SHELL]
    return run([*_as_root(), *command], APT_BOUND_S)


def install_from_distribution() -> bool:
    """Debian's headless shell, where this user may install packages."""
    if not _may_install():
        return False
    say(f"installing the distribution's {SHELL} with apt-get")
    apt = [*_as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    run([*apt, "update"], APT_BOUND_S)
    install = ["-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"]
    return run([*apt, *install, *DEBIAN_PACKAGES], APT_BOUND_S)


def run(command: list[str], bound_s: float, environment: dict[str, str] | None = None) -> bool:
    """Whether ``command`` succeeded within ``bound_s`` seconds; its output goes to the log."""
    log = Path("build") / "setup.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as output:
        # A session of its own, so that nothing it started outlives the bound.
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            return process.wait(bound_s) == 0
        except subprocess.TimeoutExpired:
            output.write(f"stopped after {bound_s:.0f} s: {' '.join(command)}\n".encode())
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 15)
                process.wait(10)


def say(sentence: str) -> None:
    """Tell the person who waits."""
    print(f"setup: {sentence}", flush=True)


def fail(sentence: str) -> NoReturn:
    """Say why there is no Chromium, and stop the set-up."""
    print(f"setup: {sentence}.", file=sys.stderr)
    sys.exit(2)


def _is_shell(path: Path) -> bool:
    return "headless" in path.name


def _has_downloaded() -> bool:
    try:
        return "playwright" in str(find_chromium())
    except UserError:
        return False


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def _may_install() -> bool:
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
