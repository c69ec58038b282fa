#!/bin/sh
# Run every test: set up what they need, build the images, call pytest.
#
#   ci/test.sh [PYTEST ARGUMENTS]
#   ci/test.sh --only-environment     set up build/venv-test and the programs, run nothing
#   ci/test.sh --only-programs        install the programs that are missing; leave build/ alone
#
# The Python packages are pinned by hash in tests/requirements.txt. Debian packages that are missing
# are installed where this runs as root; elsewhere it says which they are and goes on, and pytest
# names each test that could not run.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
environment=build/venv-test

# need COMMAND PACKAGE PURPOSE: see that COMMAND works, by installing PACKAGE if it may be done.
need() {
    if sh -c "$1" >/dev/null 2>&1; then
        return
    fi
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "environment: installing $2 ($3)"
        if output=$({ install_package "$2" || { ci/apt.sh update && install_package "$2"; }; } 2>&1) &&
            sh -c "$1" >/dev/null 2>&1; then
            return
        fi
        echo "$output" | tail -n 3 >&2
    fi
    echo "environment: $2 is missing ($3); on Debian: apt-get install $2" >&2
}

install_package() {
    ci/apt.sh install -y --no-install-recommends "$1"
}

need "$python -c 'import ensurepip, venv'" python3-venv "the tests' Python packages"
need 'command -v chromium || command -v chromium-browser' chromium "the browser tests"
need 'command -v npm' npm "the bundle of the page and its charts"
need 'test -x /usr/sbin/nginx' nginx-light "the test of a reverse proxy"
need 'test -x /usr/bin/caddy' caddy "the test of a reverse proxy"
need 'command -v nats-server || test -x /usr/sbin/nats-server' \
    nats-server "the tests of relays in a cluster"
need 'command -v openssl' openssl "the certificates of the TLS tests"
# shellcheck disable=SC2016 # $CC is the environment's, where it is run
need 'echo "#include <stdio.h>" | ${CC:-gcc} -m32 -x c -c - -o /dev/null' \
    gcc-multilib "the 32-bit image"
if [ "${1:-}" = --only-programs ]; then
    exit
fi
"$python" ci/environment.py "$environment" tests/requirements.txt
if [ "${1:-}" = --only-environment ]; then
    exit
fi

make host
make host-failing
make host-sanitized || echo "test: without the sanitized image, some tests run on one only" >&2
make host32 || echo "test: without the 32-bit image, tests that need it are skipped" >&2
# More processes than cores, as tests wait a lot; ARGS="-n 0" runs them one after another.
exec "$environment/bin/python" -m pytest -n 8 --durations 10 "$@"
