#!/bin/sh
# Installs the real services and clients the tests use, where they are missing. Fails when it cannot.
# Arguments are further packages; PROGRAM:PACKAGE is installed only where nothing else brought the program.
set -eu
missing=""
want() { [ -n "$(command -v "$1" 2>/dev/null || true)" ] || [ -x "$1" ] || missing="$missing $2"; }
want /usr/sbin/slapd slapd
want ldapsearch ldap-utils
want swaks swaks
perl -MNet::SSLeay -e 1 2>/dev/null || missing="$missing libnet-ssleay-perl" # swaks's TLS
want mbsync isync
want curl curl
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
for extra in "$@"; do
    case "$extra" in
    *:*) want "${extra%%:*}" "${extra#*:}" ;;
    *) dpkg -s "$extra" 2>/dev/null | grep -q "^Status: install ok" || missing="$missing $extra" ;;
    esac
done
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "installing:$missing"
$sudo apt-get update -qq
# policy-rc.d is respected: the tests start their own servers on loopback.
DEBIAN_FRONTEND=noninteractive $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
