#!/bin/sh
# The same job as a script: a token that is good for a while, each time it is needed.
set -eu

api_url=$(resolve get api_url)
end=$(($(date +%s) + $(resolve get run_seconds)))
calls=0
failed=0
while [ "$(date +%s)" -lt "$end" ]; do
    calls=$((calls + 1))
    # ANCHOR: call
    # curl reads the header from its standard input, because arguments are visible to everybody.
    resolve token crm --header | curl --silent --show-error --fail --header @- "$api_url" >items.json ||
        failed=$((failed + 1))
    # ANCHOR_END: call
    sleep 0.1
done
echo "$calls calls, $failed failed"
