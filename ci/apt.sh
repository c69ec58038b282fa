#!/bin/sh
# Run apt-get, after whatever else uses apt: a fresh machine upgrades itself for some minutes.
#
#   ci/apt.sh ARGUMENTS
#
# apt waits by itself for dpkg's lock alone; where those of its lists and its archive are held, it
# fails at once. WAIT is the most seconds to wait, by default 600.
set -u
wait=${WAIT:-600}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
deadline=$(($(date +%s) + wait))
said=
while :; do
    output=$(apt-get -o "DPkg::Lock::Timeout=$wait" "$@" 2>&1)
    status=$?
    case $output in
    *"Could not get lock"*) [ "$status" -ne 0 ] || break ;;
    *) break ;;
    esac
    [ -n "$said" ] || echo "apt: another program has it; waiting" >&2
    said=1
    [ "$(date +%s)" -lt "$deadline" ] || break
    sleep 1
done
echo "$output"
exit "$status"
