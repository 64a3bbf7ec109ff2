"""Started by Playwright in Chromium's place: hands its pipe over, takes another, becomes Chromium.

A script of its own, which needs nothing but the standard library:

    python chromium_stand_in.py SOCKET CHROMIUM [ARGUMENTS OF CHROMIUM ...]

Playwright's pipe is file descriptors 3 (to read) and 4 (to write). See devtools.py.
"""

import os
import socket
import sys

READ_END, WRITE_END = 3, 4


def main() -> None:
    """Swap pipes and become Chromium; ends with an error if the other side is gone."""
    place, chromium, *arguments = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as meeting:
        meeting.connect(place)
        socket.send_fds(meeting, [b"!"], [READ_END, WRITE_END])
        _, ends, *_ = socket.recv_fds(meeting, 1, 2)
        if len(ends) != 2:
            sys.exit("no pipe came in exchange: whoever started this has gone")
    # Out of the way of the numbers that they are to get.
    high = [os.dup2(end, 20 + place) for place, end in enumerate(ends)]
    for end, number in zip(high, (READ_END, WRITE_END), strict=True):
        os.dup2(end, number, inheritable=True)
        os.close(end)
    for end in ends:
        if end not in (READ_END, WRITE_END):
            os.close(end)
    os.execv(chromium, [chromium, *arguments])  # noqa: S606 - as Playwright would have


if __name__ == "__main__":
    main()
