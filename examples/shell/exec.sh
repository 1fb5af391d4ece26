#!/bin/sh
# Every declared credential for one program alone; this shell never sees them.
set -eu

# ANCHOR: exec
resolve exec -- sh -c 'printf "%s and %s are set\n" "${API_KEY:+API_KEY}" "${DB_PASSWORD:+DB_PASSWORD}"'
# ANCHOR_END: exec
