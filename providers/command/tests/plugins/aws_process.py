#!/usr/bin/env python3
"""A `credential_process`: prints the JSON that the AWS tools document. Its argument is how it
errs, if at all. The values come from the environment, so that no key stands in this file."""

import json
import os
import sys

how = sys.argv[1] if len(sys.argv) > 1 else "fine"
if how == "fails":
    sys.exit("canary-stderr: the session has expired")
document = {
    "Version": 2 if how == "version" else 1,
    "AccessKeyId": os.environ["ACCESS"],
    "SecretAccessKey": os.environ["SECRET"],
    "SessionToken": None if how == "long-lived" else "a/session",
    "Expiration": "2026-11-24T12:00:00+01:00",
}
if how == "long-lived":
    del document["Expiration"]
if how == "date":
    document["Expiration"] = "tomorrow"
print("no JSON, canary" if how == "text" else json.dumps(document))
