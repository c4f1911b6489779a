package host

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Facts are what a server is, before anything of ours is on it.
type Facts struct {
	OS     string // PRETTY_NAME of os-release
	Kernel string // release, such as 6.1.0-18-amd64
	Arch   string // as GOARCH
	// CgroupVersion is 2 when only the unified hierarchy is mounted.
	CgroupVersion int
	// Controllers of cgroups that can be used, such as memory.
	Controllers    []string
	MemoryBytes    int64
	CPUs           int
	DiskFreeBytes  int64 // on the file system of /var/lib
	OptFreeBytes   int64 // on that of /opt, or of / where there is none
	MachineID      string
	Hostname       string
	SystemdVersion int
	Addresses      []netip.Addr
	// Listening are the TCP ports that something listens on, on any address.
	Listening []int
	// Bound are the UDP ports that something receives on, on any address.
	Bound    []int
	UnixTime int64
	// Unusable are the directories of ours that lie on a file system which is mounted
	// without what they need.
	Unusable []Mount
	// Storage is where volumes would lie, if a directory was asked about.
	Storage FileSystem
}

// FileSystem is that of a directory, or of what there is of its path.
type FileSystem struct {
	// Dir is the directory, or the one above it that exists; At is where its file system
	// is mounted.
	Dir, At string
	// Type is such as ext4, Options such as rw,relatime.
	Type, Options        string
	SizeBytes, FreeBytes int64
}

// Mount is a directory, and how the file system is mounted that it lies on.
type Mount struct {
	Dir, At string
	// Option is what stands against it: ro or noexec.
	Option string
}

// One command reads them all: a round trip may cost 100 ms. It needs coreutils,
// sed and awk only; addresses come from the kernel's own table, since a bare
// server may lack iproute2.
const factsScript = `
echo "os=$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
echo "kernel=$(uname -r)"
echo "arch=$(uname -m)"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo cgroup=2; else echo cgroup=1; fi
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then cat /sys/fs/cgroup/cgroup.controllers; else awk '$3=="cgroup"{print $4}' /proc/mounts; fi |
	tr ', ' '\n\n' | sed 's/^/controller=/'
echo "memory=$(awk '/^MemTotal/{printf "%.0f", $2 * 1024}' /proc/meminfo)"
echo "cpus=$(nproc)"
echo "disk=$(($(stat -f -c '%a * %S' /var/lib)))"
echo "opt=$(($(stat -f -c '%a * %S' /opt 2>/dev/null || stat -f -c '%a * %S' /)))"
echo "machine=$(cat /etc/machine-id 2>/dev/null)"
echo "hostname=$(uname -n)"
echo "systemd=$(systemctl --version 2>/dev/null | awk 'NR==1{print $2}')"
echo "time=$(date +%s)"
awk '/32 host/{print "address=" a} {a=$2}' /proc/net/fib_trie | sort -u
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4=="0A"{sub(/.*:/, "", $2); print "listen=" $2}' | sort -u
for dir in /var/lib/gantry:x /opt/gantry:x /etc/systemd/system:; do
	awk -v dir="${dir%%:*}" -v runs="${dir##*:}" '
		{ if ($5 == "/" || $5 == dir || index(dir, $5 "/") == 1) if (length($5) >= n) { n = length($5); at = $5; how = "," $6 "," } }
		END { if (index(how, ",ro,")) print "mount=ro " dir " " at; else if (runs && index(how, ",noexec,")) print "mount=noexec " dir " " at }' /proc/self/mountinfo
done
cat /proc/net/udp /proc/net/udp6 2>/dev/null | awk '$4=="07"{sub(/.*:/, "", $2); print "bound=" $2}' | sort -u
if [ -n "$1" ]; then
	dir=$1
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	echo "storage=$(($(stat -f -c '%b * %S' "$dir"))) $(($(stat -f -c '%a * %S' "$dir")))"
	echo "storagedir=$dir"
	awk -v dir="$(readlink -f "$dir")" '
		BEGIN { gsub(/ /, "\\040", dir) }
		{ if ($5 == "/" || $5 == dir || index(dir, $5 "/") == 1) if (length($5) >= n) { n = length($5); at = $5; how = $6; for (i = 7; i < NF; i++) if ($i == "-") { type = $(i + 1); break } } }
		END { print "storagemount=" type " " how " " at }' /proc/self/mountinfo
fi
`

// ReadFacts asks the host what it is, and of what kind the file system of storage is, an
// absolute path; "" is none.
func ReadFacts(ctx context.Context, h Host, storage string) (Facts, error) {
	out, err := h.Run(ctx, Shell("facts", factsScript, storage))
	if err != nil {
		return Facts{}, fmt.Errorf("read the host's facts: %w", err)
	}
	return parseFacts(out), nil
}

func parseFacts(out []byte) Facts {
	var f Facts
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	for line := range strings.Lines(string(out)) {
		key, v, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch key {
		case "os":
			f.OS = v
		case "kernel":
			f.Kernel = v
		case "arch":
			f.Arch = v
			if goarch := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[v]; goarch != "" {
				f.Arch = goarch
			}
		case "cgroup":
			f.CgroupVersion = int(number(v))
		case "controller":
			f.Controllers = append(f.Controllers, v)
		case "opt":
			f.OptFreeBytes = number(v)
		case "listen":
			f.Listening = appendPort(f.Listening, v)
		case "bound":
			f.Bound = appendPort(f.Bound, v)
		case "memory":
			f.MemoryBytes = number(v)
		case "cpus":
			f.CPUs = int(number(v))
		case "disk":
			f.DiskFreeBytes = number(v)
		case "machine":
			f.MachineID = v
		case "hostname":
			f.Hostname = v
		case "systemd":
			f.SystemdVersion = int(number(v))
		case "time":
			f.UnixTime = number(v)
		case "mount":
			if m := strings.Fields(v); len(m) == 3 {
				f.Unusable = append(f.Unusable, Mount{Option: m[0], Dir: m[1], At: m[2]})
			}
		case "storage":
			size, free, _ := strings.Cut(v, " ")
			f.Storage.SizeBytes, f.Storage.FreeBytes = number(size), number(free)
		case "storagedir":
			f.Storage.Dir = v
		case "storagemount":
			if m := strings.SplitN(v, " ", 3); len(m) == 3 {
				f.Storage.Type, f.Storage.Options, f.Storage.At = m[0], m[1], strings.ReplaceAll(m[2], `\040`, " ")
			}
		case "address":
			if ip, err := netip.ParseAddr(v); err == nil && !ip.IsLoopback() {
				f.Addresses = append(f.Addresses, ip)
			}
		}
	}
	return f
}

// appendPort adds a port as the kernel's tables have it.
func appendPort(ports []int, hex string) []int {
	if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
		ports = append(ports, int(port))
	}
	return ports
}
