"""Asks a server of `forked.py` to be the command: what stands for `testlytics` where a shell calls.

Run with `python -I -S`, and with nothing imported that is not needed: starting is all it costs.
"""

import json
import os
import socket
import sys


def main() -> int:
    """Hand arguments, folder, variables and standard streams on; return the exit code."""
    asked = {"argv": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [b" "], [0, 1, 2])
        server.sendall(json.dumps(asked).encode() + b"\n")
        with server.makefile() as answers:
            return int(answers.readline())


if __name__ == "__main__":
    sys.exit(main())
