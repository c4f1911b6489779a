#!/usr/bin/env bash
# Builds containerd, its shim and a static runc into OUTDIR from the versions
# that go.mod beside this file pins. The same sources, Go release and C library
# give the same bytes. What is up to date is not built again.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$here"

# A build depends on these only; the stamp beside a binary holds their hash.
inputs=$( { cat go.mod go.sum build.sh; go version; uname -m; } | sha256sum | cut -d' ' -f1)

# build NAME PACKAGE CGO TAGS LDFLAGS
build() {
	local name=$1 pkg=$2 cgo=$3 tags=$4 ldflags=$5
	if [ -x "$out/$name" ] && [ "$(cat "$out/.$name.stamp" 2>/dev/null)" = "$inputs" ]; then
		echo "$name: up to date"
		return
	fi
	echo "$name: building"
	CGO_ENABLED=$cgo go build -trimpath -buildvcs=false -mod=readonly -tags "$tags" \
		-ldflags "-s -w -buildid= $ldflags" -o "$out/.$name.new" "$pkg"
	mv "$out/.$name.new" "$out/$name"
	echo "$inputs" >"$out/.$name.stamp"
}

version() { go list -m -f '{{.Version}}' "$1"; }

# The kubelet uses containerd's own API: without CRI and the snapshotters that
# need what a bare server lacks, the daemon is smaller on disk and in memory.
containerd=$(version github.com/containerd/containerd/v2)
stamped="-X github.com/containerd/containerd/v2/version.Version=${containerd#v}"
tags="netgo osusergo no_cri no_tracing no_btrfs no_zfs no_devmapper"
build containerd github.com/containerd/containerd/v2/cmd/containerd 0 "$tags" "$stamped"
build containerd-shim-runc-v2 github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2 0 "$tags" "$stamped"

# runc needs cgo (it re-executes itself before Go's threads exist) and is linked
# statically, so that the server's C library does not matter.
if ! pkg-config --exists libseccomp 2>/dev/null && [ ! -e /usr/include/seccomp.h ]; then
	echo "runc needs libseccomp's headers and static library: apt-get install libseccomp-dev" >&2
	exit 1
fi
build runc github.com/opencontainers/runc 1 "netgo osusergo seccomp" "-extldflags -static"
