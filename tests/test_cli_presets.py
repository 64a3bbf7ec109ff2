"""What `webdojo train --help` says is there."""

from typer.testing import CliRunner

from webdojo.cli.app import app
from webdojo.training.config_files import presets


def test_the_help_names_every_preset() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", "--help"]).output
    assert [name for name in presets() if name not in shown] == []
