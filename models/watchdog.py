"""Ends Cog's server when its worker has died, so that whoever supervises it starts a new one.

coglet 0.22 runs the model in a worker, a child process of the server. When the worker dies (`kill -9`, the kernel's
out-of-memory killer, a crash in native code), the server stays: the predictions that ran fail, every later one is
answered with 409, /health-check says UNHEALTHY, and no new worker comes. Docker, Kubernetes and Replicate restart a
container whose process has ended, and this one never ends (crates/coglet/src/orchestrator.rs, run_event_loop).

`install` starts a small process that waits until the worker has ended, and a second later kills the server if it is
still there. In that second callers get the answers of the predictions that failed, and a server that is shutting down
is gone. The container's exit code is then 137. Where an own entrypoint makes the server process 1 of its container,
which no process inside can kill, it is interrupted instead, and the exit code is 130.

tests/template/server/test_watchdog.py fails on the day the runtime ends by itself: then this file can go.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

_GRACE_SECONDS = 1


def install() -> None:
    """Watch this process, the worker. Call it last in setup: a worker that dies before is reported as SETUP_FAILED."""
    end, held = os.pipe()
    command = [sys.executable, "-I", "-S", __file__, str(os.getppid())]
    subprocess.Popen(command, stdin=end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(end)
    os.register_at_fork(after_in_child=lambda: os.close(held))  # a child that outlives the worker must not hold it open


def _watch(server: int) -> None:
    """Wait for the end of the worker, which holds the other end of standard input; then end the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the server handles it
    sys.stdin.read()
    time.sleep(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        if os.getpgid(server) != os.getpgrp():
            return  # the server is gone, and its number belongs to another process
        _say(server, "the worker, which runs the model, has died (out of memory?): ending the server\n")
        os.kill(server, signal.SIGKILL)
        time.sleep(_GRACE_SECONDS)
        os.kill(server, signal.SIGINT)  # process 1 of a container takes only signals that it has a handler for


def _say(server: int, line: str) -> None:
    """Write to the server's standard error, where the system shows it (Linux)."""
    with suppress(OSError), open(f"/proc/{server}/fd/2", "a", encoding="utf-8") as log:
        log.write(line)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
