"""A Python that has loaded torch and diffusers, and forks a process for each `client.py` that asks for one.

`python -P server.py NAME`. Prints a line when it listens on the socket of that name, and dies with its parent.

A forked process does what `python -m MODULE` or `python FILE` does once torch is imported, but `bench` gets its workers
from here as well. PYTHONPATH, LD_LIBRARY_PATH and OMP_NUM_THREADS are those that this server was started with.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from bench.process import lifeline
from bench.run import executor


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: `arguments` begin with a module's name or a file's path."""

    arguments: list[str]
    cwd: str
    environment: dict[str, str]


def load() -> None:
    """Load what takes long, but no module of `bench` that reads the environment while it is imported."""
    gc.disable()
    import diffusers.utils.remote_utils
    import httpx2  # noqa: F401
    import scipy.stats  # noqa: F401
    from diffusers.image_processor import VaeImageProcessor  # noqa: F401

    from bench import cli
    from bench.endpoint import serving, startup  # noqa: F401
    from bench.run import scheduler  # noqa: F401
    from bench.run.worker import measure_ceilings, measure_workspaces, session  # noqa: F401

    cli.app_for([])  # imports all commands
    assert diffusers.AutoencoderKL
    assert "bench.workloads.image_vae.zoo.faults" not in sys.modules, "its import reads a variable"
    gc.freeze()
    gc.enable()


def requested(listener: socket.socket) -> Request:
    """Fork for each client that connects; returns in the forked processes alone, whose pipes are the client's."""
    while True:
        connection, _ = listener.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            listener.close()
            return received(connection)
        connection.close()


def received(connection: socket.socket) -> Request:
    """Fork once more and return in the child. The parent keeps the client informed, and ends with the child."""
    head, pipes, _, _ = socket.recv_fds(connection, 4, 3)
    message = json.loads(connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    child = os.fork()
    if child:
        for pipe in pipes:
            os.close(pipe)
        keep(connection, child)
    connection.close()
    lifeline.die_with()
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    request = Request(**message)
    is_user = request.arguments[0] == "bench" or "examples" in request.arguments[0].split(os.sep)
    if not is_user:  # a worker, whose last argument is the id of its parent
        request.arguments[-1] = str(os.getppid())
    return request


def keep(connection: socket.socket, child: int) -> NoReturn:
    """Pass signals on to the child, kill it when the client is gone, and report to the client how it ended."""

    def listen() -> None:
        with contextlib.suppress(ProcessLookupError):
            while number := connection.recv(1):
                os.kill(child, number[0])
            os.kill(child, signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):  # the client was killed
        connection.sendall(status.to_bytes(4, "big"))
    os._exit(0)


def main() -> None:
    """Serve until the parent dies."""
    lifeline.die_with()
    load()
    client = (sys.executable, *json.loads(os.environ["WARM_CLIENT"]), "bench.run.worker")
    executor.SubprocessExecutor = partial(executor.SubprocessExecutor, command=client)  # type: ignore[assignment,misc]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + sys.argv[1])  # Linux's own namespace of names, which leaves no file
        listener.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        request = requested(listener)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = request.arguments
    program = request.arguments[0]
    try:
        if program.endswith(".py"):
            sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            leave(end.code)
        raise


def leave(code: int) -> NoReturn:
    """End as Python would, without taking apart all that is loaded, which takes half a second."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
