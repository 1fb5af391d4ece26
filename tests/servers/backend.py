#!/usr/bin/env python3
"""A backend for scenarios: a plugin that answers what the scenario's backends.toml says.

    [providers.NAME]
    type    = "command"
    program = "./backend"
    args    = ["NAME"]

    # backends.toml
    [NAME]
    api_key     = "a value"
    db_password = { error = "denied" }
    tls_key     = { base64 = "AP8=" }

Whatever is not listed is not found. Every start and request becomes a line of backend.log.
"""

import json
import sys
import tomllib


def answer(entry):
    if entry is None:
        return {"error": {"kind": "not_found"}}
    if isinstance(entry, str):
        return {"value": entry}
    if "base64" in entry:
        return {"value_base64": entry["base64"]}
    return {"error": {"kind": entry["error"]}}


def say(message):
    print(json.dumps(message), flush=True)


def main(name):
    with open("backends.toml", "rb") as file:
        entries = tomllib.load(file).get(name, {})
    with open("backend.log", "a", encoding="utf-8", buffering=1) as log:
        print(name, "start", file=log)
        say({"protocol": [1], "name": name, "capabilities": ["get_many"]})
        sys.stdin.readline()
        for line in sys.stdin:
            request = json.loads(line)
            items = request.get("items", [])
            print(name, request["op"], len(items), file=log)
            results = [answer(entries.get(item["path"])) for item in items]
            say({"id": request["id"], "results": results})


main(sys.argv[1])
