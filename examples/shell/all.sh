#!/bin/sh
# Every declared credential in this shell and in all that it starts. If one is missing, `eval`
# fails and nothing is set.
set -eu

# ANCHOR: all
eval "$(resolve export)"
# ANCHOR_END: all

curl --silent --show-error --fail --config - "$API_URL/v1/orders" <<END
header = "Authorization: Bearer $API_KEY"
END
