#!/usr/bin/env python3
"""A plugin that misbehaves in the way its first argument says. The second is a directory for
what the test wants to observe."""

import base64
import json
import os
import signal
import subprocess
import sys

mode, directory = sys.argv[1], sys.argv[2]


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(name, text):
    with open(os.path.join(directory, name), "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def respond(request, one):
    say({"id": request["id"], "results": [one(item) for item in request["items"]]})


note("pids", os.getpid())
held = []

if mode == "exit":
    sys.exit(3)
if mode == "silent":
    signal.pause()
if mode == "garbage-hello":
    print("Welcome to vault-tool 4.2, canary-hello", flush=True)
    signal.pause()
if mode == "future":
    say({"protocol": [98, 99]})
    signal.pause()
if mode == "chatty":
    sys.stderr.write("canary-stderr " * 100_000)
    sys.stderr.flush()
if mode in ("family", "stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("pids", subprocess.Popen(["sleep", "1000"]).pid)

capabilities = [] if mode == "single" else ["get_many", "set"]
say({"protocol": [1, 7], "capabilities": capabilities, "later": {"unknown": True}})
note("greeting", sys.stdin.buffer.readline().decode().strip())

if mode == "deaf":
    signal.pause()

for line in sys.stdin.buffer:
    request = json.loads(line)
    items = request["items"]
    first = items[0]["path"]
    note("requests", f"{request['op']} {len(items)} {request['deadline_ms']} {first}")
    if mode == "garbage":
        print("Traceback (most recent call last): canary-garbage", flush=True)
    elif mode == "wrong-id":
        say({"id": request["id"] + 1000, "results": [{"value": "canary-wrong"} for _ in items]})
    elif mode == "half":
        sys.stdout.write('{"id": %d, "results": [{"val' % request["id"])
        sys.stdout.flush()
        os._exit(0)
    elif mode == "giant":
        chunk = "x" * (1 << 20)
        sys.stdout.write('{"id": 1, "results": [{"value": "')
        for _ in range(1024):
            sys.stdout.write(chunk)
        say("")
        note("survived", "the whole GiB was read")
    elif mode == "crash" or (mode == "crash-once" and not held and not os.path.exists(os.path.join(directory, "crashed"))):
        note("crashed", "yes")
        os._exit(1)
    elif mode == "slow" and first == "slow":
        held.append(request)
    elif mode == "env":
        respond(request, lambda item: {"value": os.environ[item["path"]]} if item["path"] in os.environ
                else {"error": {"kind": "not_found"}})
    elif mode == "kinds":
        respond(request, lambda item: {"error": {
            "kind": item["path"], "message": "canary-message", "code": item.get("field", "CANARY\x1b[31m"),
            "retry_after_ms": 1500}})
    elif mode == "whole":
        say({"id": request["id"], "error": {"kind": first}})
    elif mode == "count":
        say({"id": request["id"], "results": [{"value": "a"}] * (len(items) + 1)})
    elif mode == "both":
        respond(request, lambda item: {"value": "a", "value_base64": "YQ=="})
    elif mode == "base64":
        respond(request, lambda item: {"value_base64": item["path"]})
    elif mode == "times":
        respond(request, lambda item: {"value": "v", "version": "7", "created": "2026-01-02T03:04:05Z",
                "expires": "2026-01-02T05:04:05+01:00", "lease": "l/1", "renewable": True, "later": 1})
    else:
        for late in held:
            respond(late, lambda item: {"value": "canary-late"})
        held.clear()
        respond(request, lambda item: {"value": f"{item['path']} from {os.getpid()}"})

if mode == "stubborn":
    while True:
        signal.pause()
