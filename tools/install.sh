#!/usr/bin/env bash
# Installs packages of the distribution, as root. On a machine that has just booted
# its own daily run may hold apt's locks, and a mirror may fail once.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
echo "installing $*"
apt=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
for try in {1..10}; do # apt waits for dpkg's lock, and not for that of its lists
	"${apt[@]}" -o APT::Update::Error-Mode=any update && break
	sleep 12
done
"${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
