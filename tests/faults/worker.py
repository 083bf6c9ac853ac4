"""Forks children that run `sent-score` for real, one command a line on stdin.

Everything is imported once, so that a child starts in milliseconds and a kill at a random moment
falls into its start, its scoring or its commit. A child can be told to meet a fault at its n-th
durable step (a write, fsync, rename, link or unlink): to be killed before or after it or a moment
later, or to see it fail. It can write down which steps it came to.
"""

import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import spacy

import infer.job.scoring  # noqa: F401  (what the command imports once its inputs are in order)
from infer import cli

spacy.blank("en")  # reads the language's rules
step = 0


def met(fault, name, call, *arguments, **options):
    """Make one durable step, or meet the fault that is due at it."""
    global step
    step += 1
    due = step == fault["step"]
    if "trace" in fault:
        with Path(fault["trace"]).open("a") as trace:
            trace.write(f"{name}\n")
    if due and fault["action"] == "kill before":
        os.kill(os.getpid(), signal.SIGKILL)
    if due and fault["action"] == "fail":
        Path(fault["note"]).write_text(name)
        raise OSError(5, "Input/output error")
    try:
        return call(*arguments, **options)
    finally:
        if due and fault["action"] == "kill after":
            os.kill(os.getpid(), signal.SIGKILL)
        if due and fault["action"] == "kill later":
            threading.Timer(fault["seconds"], os.kill, (os.getpid(), signal.SIGKILL)).start()


def arm(fault):
    """Let every durable step of this process pass through `met`."""
    for owner, name in (
        (os, "fsync"),
        (os, "replace"),
        (os, "link"),
        (os, "unlink"),
        (os, "rmdir"),
        (pq, "write_table"),
        (pq.ParquetWriter, "write_table"),
        (pq.ParquetWriter, "close"),
    ):
        call = getattr(owner, name)
        setattr(
            owner,
            name,
            lambda *a, call=call, name=name, **k: met(fault, name, call, *a, **k),
        )


def child(command, stderr):
    """Run the command in this process and leave with its exit code."""
    null = os.open(os.devnull, os.O_RDWR)
    stdout = os.open(command.get("stdout", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, target in ((0, null), (1, stdout), (2, stderr)):
        os.dup2(target, number)
    if "file_size" in command:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["file_size"],) * 2)
    if "fault" in command:
        arm(command["fault"])
    sys.argv = ["sent-score", *command["arguments"]]
    code = 70  # an error that is none of ours
    try:
        cli.main()
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException as error:
        sys.stderr.write(f"UNEXPECTED {type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


def answer(command, pipes):
    """Start a child, or wait for one."""
    if "wait" not in command:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(command, theirs)
        os.close(theirs)
        pipes[pid] = ours
        return {"pid": pid}
    _, status, usage = os.wait4(command["wait"], 0)
    with os.fdopen(pipes.pop(command["wait"])) as pipe:
        said = pipe.read()
    return {"code": os.waitstatus_to_exitcode(status), "peak_kb": usage.ru_maxrss, "stderr": said}


def main():
    """Say that it is ready, then answer each line with a line."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    pipes = {}
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line), pipes)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
