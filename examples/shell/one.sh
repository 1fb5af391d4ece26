#!/bin/sh
# One credential where it is needed: it is in this shell's memory, and in no other program's
# environment or arguments.
set -eu

# ANCHOR: one
api_key=$(resolve get api_key)
# ANCHOR_END: one

# curl reads the header from its standard input, because arguments are visible to everybody.
printf 'header = "Authorization: Bearer %s"\n' "$api_key" |
    curl --silent --show-error --fail --config - "$(resolve get api_url)/v1/orders"
