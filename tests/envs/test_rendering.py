"""What Gymnasium shows of an episode: a window, its picture, a video."""

import subprocess
import textwrap
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from webdojo.envs.browser import find_chromium


def test_a_window_is_asked_of_a_chromium_that_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBDOJO_CHROMIUM", raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    shell = tmp_path / "chromium_headless_shell-1200" / "shell-linux" / "chrome-headless-shell"
    full = tmp_path / "chromium-1100" / "chrome-linux" / "chrome"
    for path in (shell, full):
        path.parent.mkdir(parents=True)
        path.touch()

    assert find_chromium() == shell
    assert find_chromium(window=True) == full


def test_rgb_array_renders_the_viewport() -> None:
    with gymnasium.make("webdojo/miniwob.click-button-v0", render_mode="rgb_array") as env:
        observation, _ = env.reset(seed=1)
        picture = env.render()
        assert picture.shape == (214, 332, 3)
        assert np.array_equal(picture, observation["screenshot"])
        assert len(np.unique(picture)) > 10


def test_human_mode_that_shows_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    windowless = tmp_path / "chromium-headless-shell"
    windowless.touch()
    with monkeypatch.context() as there:
        there.setenv("DISPLAY", ":0")
        there.setenv("WEBDOJO_CHROMIUM", str(windowless))
        with pytest.warns(UserWarning, match="headless-shell has no window"):
            gymnasium.make("webdojo/miniwob.click-button-v0", render_mode="human")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(UserWarning, match="there is no display"):
        env = gymnasium.make("webdojo/miniwob.click-button-v0", render_mode="human")
    env.reset(seed=1)
    assert env.render() is None
    env.close()


@pytest.mark.slow
def test_an_episode_is_recorded_as_a_video(tmp_path: Path) -> None:
    """By Gymnasium's RecordVideo, in the environment that has moviepy; a dead browser included."""
    python = Path(__file__).parents[2] / ".venv-video" / "bin" / "python"
    if not python.exists():
        pytest.skip("no moviepy here: scripts/setup-video.sh makes .venv-video")
    program = """
        import sys
        import gymnasium, psutil, webdojo
        from gymnasium.wrappers import RecordVideo, TimeLimit
        from moviepy import VideoFileClip
        from webdojo.envs.background import Background
from webdojo.envs.browser import find_chromium

        env = gymnasium.make("webdojo/miniwob.login-user-v0", render_mode="rgb_array")
        env = TimeLimit(RecordVideo(env, sys.argv[1], episode_trigger=lambda _: True), 3)
        ends = []
        for seed in (1, 2):
            env.reset(seed=seed)
            for action in ('fill("1", "ann")', 'fill("2", "secret")', "noop(1)"):
                *_, truncated, info = env.step(action)
                ends.append(truncated)
        env.reset(seed=3)
        chromium = env.unwrapped._pages.env._chromium
        psutil.Process(Background.get().run(chromium.process_id())).kill()
        *_, truncated, info = env.step("noop()")
        assert truncated and info["browser_died"], info
        env.close()
        for number, frames in enumerate((4, 4, 2)):
            with VideoFileClip(f"{sys.argv[1]}/rl-video-episode-{number}.mp4") as film:
                pictures = [picture.copy() for picture in film.iter_frames()]
                moved = abs(pictures[0].astype(int) - pictures[-1]) > 60  # more than coding blurs
                print(film.size, len(pictures) >= frames, moved.any())
        print(ends)
    """
    done = subprocess.run(
        [python, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "[332, 214] True True",
        "[332, 214] True True",
        "[332, 214] True False",
        "[False, False, True, False, False, True]",
    ], done.stderr
