"""Ends Cog's server when its worker has died, so that Docker, Kubernetes or Replicate starts a new one.

coglet 0.22 runs the model in a worker, a child process of the server. When the worker dies (`kill -9`, the kernel's
out-of-memory killer, a crash in native code), the server keeps running: the running predictions fail, every later one
is answered with 409, /health-check reports UNHEALTHY, and no new worker starts. Docker, Kubernetes and Replicate
restart a container when its process ends, but this process never ends (crates/coglet/src/orchestrator.rs,
run_event_loop).

`install` starts a small process that waits until the worker has ended and kills the server one second later, if it
still runs. Within that second callers get the errors of the failed predictions, and a server that is shutting down
ends by itself. The container's exit code is 137. If a custom entrypoint makes the server process 1 of its container,
no process inside can kill it: it is interrupted instead, and the exit code is 130.

tests/template/server/test_watchdog.py fails when the runtime ends by itself. Then delete this file.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

_GRACE_SECONDS = 1


def install() -> None:
    """Watch this process, the worker. Call it last in setup: Cog reports a worker that dies earlier as SETUP_FAILED."""
    end, held = os.pipe()
    command = [sys.executable, "-I", "-S", __file__, str(os.getppid())]
    subprocess.Popen(command, stdin=end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(end)
    os.register_at_fork(after_in_child=lambda: os.close(held))  # a child that outlives the worker must not keep it open


def _watch(server: int) -> None:
    """Wait for the end of the worker, which holds the other end of standard input; then end the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the server handles it
    sys.stdin.read()
    time.sleep(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        if os.getpgid(server) != os.getpgrp():
            return  # the server is gone, and its number belongs to another process
        _say(server, "the worker, which runs the model, has died (out of memory?): ending the server\n")
        os.kill(server, signal.SIGKILL)
        time.sleep(_GRACE_SECONDS)
        os.kill(server, signal.SIGINT)  # process 1 of a container receives only the signals that it handles


def _say(server: int, line: str) -> None:
    """Write to the server's standard error, on systems with /proc (Linux)."""
    with suppress(OSError), open(f"/proc/{server}/fd/2", "a", encoding="utf-8") as log:
        log.write(line)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
