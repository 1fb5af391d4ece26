#!/usr/bin/env python3
"""The reference plugin for credchain: a small versioned store in one JSON file.

It offers everything that the plugin protocol has (docs/plugin-protocol.md) and is meant to be
read and copied from. It keeps values in clear in a file that only its owner can read: an example,
not a vault. Python 3.8 or later on Unix, standard library only.

    [providers.example]
    type         = "command"
    program      = "examples/plugin/reference_plugin.py"
    args         = ["--store", "secrets.json"]
    capabilities = ["set", "delete", "list", "versions", "compare_and_set"]
"""

import argparse
import base64
import contextlib
import datetime
import fcntl
import json
import os
import sys

CAPABILITIES = ["get_many", "set", "delete", "list", "describe", "versions", "compare_and_set"]


class Failure(Exception):
    """What one item answers instead of a result. `code` may be shown to people; nothing else is."""

    def __init__(self, kind, code=None):
        super().__init__(kind)
        self.answer = {"error": {"kind": kind, **({"code": code} if code else {})}}


class Store:
    """Entries by (path, field); each is a list of versions, oldest first."""

    def __init__(self, path):
        self.path = path

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                return {(e["path"], e["field"]): e["versions"] for e in json.load(file)}
        except FileNotFoundError:
            return {}
        except PermissionError:
            raise Failure("denied", "store_not_readable") from None
        except (ValueError, KeyError, TypeError):
            raise Failure("invalid", "store_corrupt") from None

    @contextlib.contextmanager
    def change(self):
        """Reads, lets the caller change, and writes: one step for other processes and crashes."""
        lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self.read()
            yield entries
            self.write(entries)
        finally:
            os.close(lock)

    def write(self, entries):
        document = [{"path": p, "field": f, "versions": v} for (p, f), v in entries.items()]
        temporary = self.path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)


class Plugin:
    def __init__(self, store):
        self.store = store

    def answer(self, request):
        """One response for one request."""
        operation = {
            "get": self.get,
            "set": self.set,
            "delete": self.delete,
            "describe": self.describe,
        }.get(request.get("op"))
        if request.get("op") == "list":
            return self.list(request.get("prefix") or "")
        if operation is None:
            # A later version of the protocol may have more operations.
            raise Failure("unsupported", "unknown_operation")
        return [self.item(operation, item) for item in request["items"]]

    @staticmethod
    def item(operation, item):
        """A failure of one item is no failure of the others."""
        try:
            return operation(item)
        except Failure as failure:
            return failure.answer

    def get(self, item):
        version = self.find(item)
        return {**encode(base64.b64decode(version["value"])), **about(version)}

    def describe(self, item):
        version = self.find(item)
        return {**about(version), "metadata": version["metadata"]}

    def set(self, item):
        value = decode(item)
        with self.store.change() as entries:
            versions = entries.setdefault(place(item), [])
            current = versions[-1] if versions else None
            key = item.get("idempotency_key")
            if current and key and current["key"] == key and current["value"] == value:
                return {"version": current["version"]}
            expect = item.get("expect") or {}
            if expect.get("absent") and current:
                raise Failure("conflict")
            if "version" in expect and (not current or current["version"] != expect["version"]):
                raise Failure("conflict")
            number = str(int(current["version"]) + 1 if current else 1)
            versions.append({
                "version": number,
                "value": value,
                "key": key,
                "created": now(),
                "metadata": item.get("metadata") or {},
            })
        return {"version": number}

    def delete(self, item):
        with self.store.change() as entries:
            if entries.pop(place(item), None) is None:
                raise Failure("not_found")
        return {}

    def list(self, prefix):
        return [
            {"path": path, **({"field": field} if field else {}), **about(versions[-1])}
            for (path, field), versions in self.store.read().items()
            if path.startswith(prefix)
        ]

    def find(self, item):
        versions = self.store.read().get(place(item))
        if not versions:
            raise Failure("not_found")
        wanted = item.get("version")
        if wanted is None:
            return versions[-1]
        for version in versions:
            if version["version"] == wanted:
                return version
        raise Failure("not_found")


def place(item):
    return (item["path"], item.get("field"))


def about(version):
    return {"version": version["version"], "created": version["created"]}


def encode(value):
    """Text as text, anything else as base64."""
    try:
        return {"value": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(value).decode("ascii")}


def decode(item):
    """The value to write, in base64."""
    if "value" in item:
        return base64.b64encode(item["value"].encode("utf-8")).decode("ascii")
    return item["value_base64"]


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def say(message):
    # ensure_ascii, the default, keeps the line free of anything a pipe or locale could mangle.
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True, help="the JSON file")
    parser.add_argument("--log", help="append one line for each start and request, without values")
    options = parser.parse_args()

    def log(*words):
        if options.log:
            with open(options.log, "a", encoding="utf-8") as file:
                print(os.getpid(), *words, file=file)

    plugin = Plugin(Store(options.store))
    log("start")
    say({"protocol": [1], "name": "reference", "capabilities": CAPABILITIES})
    # Bytes, because the lines are UTF-8 whatever the locale says.
    sys.stdin.buffer.readline()  # the greeting: the version chosen, the project, the profile

    for line in sys.stdin.buffer:  # ends when credchain closes the pipe
        request = json.loads(line)
        log(request["op"], len(request.get("items", [])))
        try:
            say({"id": request["id"], "results": plugin.answer(request)})
        except Failure as failure:
            say({"id": request["id"], **failure.answer})
    log("end")


if __name__ == "__main__":
    main()
