"""Runs a command on a pseudo-terminal of its own and types into it.

Reads one JSON document from standard input:
    {"argv": [...], "cwd": "...", "env": {...}, "seconds": 60,
     "steps": [{"expect": "text"} | {"type": "text"}, ...]}
and writes one: {"screen": "...", "code": 0, "signal": 0, "echo": true, "missed": null}
"""

import json
import os
import pty
import select
import signal
import sys
import termios
import time


def main():
    task = json.load(sys.stdin)
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(task["cwd"])
        os.execvpe(task["argv"][0], task["argv"], task["env"])
    deadline = time.monotonic() + task["seconds"]
    screen, seen, missed = b"", 0, None
    for step in task["steps"]:
        if "type" in step:
            os.write(master, step["type"].encode())
            continue
        wanted = step["expect"].encode()
        while wanted not in screen[seen:]:
            more = read(master, deadline)
            if more is None:
                missed = step["expect"]
                break
            screen += more
        if missed is not None:
            break
        seen = screen.index(wanted, seen) + len(wanted)
    while missed is None and (more := read(master, deadline)) is not None:
        screen += more
    if time.monotonic() > deadline or missed is not None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    echo = bool(termios.tcgetattr(master)[3] & termios.ECHO)
    json.dump(
        {
            "screen": screen.decode(errors="replace"),
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "echo": echo,
            "missed": missed,
        },
        sys.stdout,
    )


def read(master, deadline):
    left = deadline - time.monotonic()
    ready, _, _ = select.select([master], [], [], max(0, left))
    if not ready:
        return None
    try:
        return os.read(master, 65536) or None
    except OSError:  # the last program on the terminal has closed it
        return None


main()
