#!/bin/sh
# A private session bus with an unlocked gnome-keyring, until the end of standard input.
#   secret-service.sh DIR, which holds `bus.conf`, `password` and `run`
# The environment is the private one already: HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS.
set -eu
dir=$1

# Not dbus-run-session: when that is killed, its bus and its daemons stay behind.
dbus-daemon --nofork --nopidfile --config-file="$dir/bus.conf" &
bus=$!
keyring=
trap 'kill -TERM $keyring $bus 2>/dev/null || :; wait' EXIT

give_up() {
  echo "FAILED $1"
  exit 1
}

tries=500
until [ -S "$dir/run/bus" ]; do
  kill -0 "$bus" 2>/dev/null && [ $((tries -= 1)) -gt 0 ] || give_up "the bus does not start"
  sleep 0.01
done

gnome-keyring-daemon --unlock --foreground --components=secrets <"$dir/password" &
keyring=$!

collections() {
  dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
    org.freedesktop.DBus.Properties.Get string:org.freedesktop.Secret.Service string:Collections 2>/dev/null
}
until collections | grep -q collection/login; do
  kill -0 "$keyring" 2>/dev/null && [ $((tries -= 1)) -gt 0 ] || give_up "the keyring does not start"
  sleep 0.01
done

echo READY
cat >/dev/null
