"""Takes the place of a program that `server.py` forks: passes signals on to it, and ends as it ends.

`python -I -S client.py MODULE_OR_FILE ARGUMENT...`, with the server's name in WARM_SOCKET. Imports only the standard
library, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Ask for the process, and end with its exit code or by its signal."""
    request = {"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}
    text = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("\0" + os.environ["WARM_SOCKET"])
        socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(text)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: server.send(bytes([number])))
        status = server.recv(4)
    code = os.waitstatus_to_exitcode(int.from_bytes(status, "big")) if status else 70
    if code < 0:
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


main()
