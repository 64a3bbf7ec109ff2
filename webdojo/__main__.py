"""``python -m webdojo`` is the command ``webdojo``."""

from webdojo.cli import main

if __name__ == "__main__":
    main()
