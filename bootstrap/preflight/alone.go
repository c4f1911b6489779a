package preflight

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// What a server must have at least. A machine sold with 1 GB shows some 950 MB.
const (
	minSystemd = 247
	// MaxSkew is what two clocks may differ by: certificates are valid from a few
	// minutes before they are made, and leases and tokens are judged by the clock.
	MaxSkew = 30 * time.Second

	minMasterMemory = 900 << 20
	minWorkerMemory = 450 << 20
	// The programs are some 200 MB unpacked; images, logs and, on a master, the
	// store lie under /var/lib.
	minOptDisk       = 512 << 20
	minMasterVarDisk = 2 << 30
	minWorkerVarDisk = 1 << 30
)

// minKernel is the oldest that the node processes are made for.
var minKernel = [2]int{5, 13}

// alone checks one server by itself.
func alone(s Subject, around Surroundings) []Finding {
	f := s.Facts
	var out []Finding
	add := func(remedy, problem string, args ...any) {
		out = append(out, Finding{Problem: fmt.Sprintf(problem, args...), Remedy: remedy})
	}
	if f.SystemdVersion == 0 {
		add("install a distribution that boots with it", "it runs no systemd, which keeps the processes running")
	} else if f.SystemdVersion < minSystemd {
		add("upgrade the distribution", "its systemd is %d, the oldest that works is %d", f.SystemdVersion, minSystemd)
	}
	if k, ok := kernel(f.Kernel); !ok || slices.Compare(k[:], minKernel[:]) < 0 {
		add("install a newer kernel and reboot", "its kernel is %q, the oldest that works is %d.%d", f.Kernel, minKernel[0], minKernel[1])
	}
	if platform := "linux/" + f.Arch; around.Platform != "" && platform != around.Platform {
		add("use a bundle for "+platform, "it is %s, the bundle %s is for %s", platform, around.Bundle, around.Platform)
	}
	if missing := missingControllers(f); len(missing) > 0 {
		add("enable them on the kernel's command line (cgroup_enable=memory) and reboot", "its cgroups lack the controllers %s", strings.Join(missing, ", "))
	}
	memory, disk := int64(minWorkerMemory), int64(minWorkerVarDisk)
	if s.Node.Master {
		memory, disk = minMasterMemory, minMasterVarDisk
	}
	if f.MemoryBytes < memory {
		add("give it more", "it has %d MB of memory, the least that works is %d", f.MemoryBytes>>20, memory>>20)
	}
	if f.DiskFreeBytes < disk {
		add("free space or mount a larger disk there", "%d MB are free under /var/lib, the least that works is %d", f.DiskFreeBytes>>20, disk>>20)
	}
	if f.OptFreeBytes < minOptDisk {
		add("free space or mount a larger disk there", "%d MB are free under /opt, the least that works is %d", f.OptFreeBytes>>20, minOptDisk>>20)
	}
	for _, m := range f.Unusable {
		if m.Option == "noexec" {
			add(fmt.Sprintf("mount it without noexec (mount -o remount,exec %s, and in /etc/fstab), or give %s a file system of its own", m.At, m.Dir),
				"the file system at %s, on which %s lies, is mounted noexec, and programs are run from there", m.At, m.Dir)
		} else {
			add(fmt.Sprintf("mount it to be written (mount -o remount,rw %s, and in /etc/fstab)", m.At),
				"the file system at %s, on which %s lies, is mounted read-only", m.At, m.Dir)
		}
	}
	out = append(out, storage(s)...)
	for _, p := range Ports(s.Node.Master) {
		if slices.Contains(f.Listening, p.Number) {
			add(fmt.Sprintf("stop what listens there (ss -ltnp 'sport = :%d' shows it)", p.Number), "port %d, which %s needs, is in use", p.Number, p.For)
		}
	}
	if slices.Contains(f.Bound, config.VXLANPort) {
		// The kernel's own end of another network has no process.
		add(fmt.Sprintf("stop what uses it (ss -lunp 'sport = :%d' shows it, or ip -d link show type vxlan)", config.VXLANPort),
			"UDP port %d, which the pod network needs, is in use", config.VXLANPort)
	}
	if s.Skew.Abs() > MaxSkew {
		way := "ahead of"
		if s.Skew < 0 {
			way = "behind"
		}
		add("have both keep time by NTP", "its clock is %s %s this machine's", s.Skew.Abs().Round(time.Second), way)
	}
	for _, ip := range s.Node.Host.IPs() {
		if !slices.Contains(f.Addresses, ip) {
			add("give node_ips, one of "+strings.Join(addr.IPs(f.Addresses).Strings(), ", "), "it has no address %s", ip)
		}
	}
	switch unreached := strings.Join(s.Reach.Unreached, "; "); {
	case s.Node.Master && unreached != "":
		add(fmt.Sprintf("open the way to the masters' ports %d and %d, or mend what should listen there", config.APIServerPort, config.EtcdPeerPort), "it does not reach %s", unreached)
	case s.Reach.None:
		add("open the way to the masters' API, port "+strconv.Itoa(config.APIServerPort), "it reaches no master: %s", unreached)
	}
	if len(s.Reach.Unreaching) > 0 {
		add(fmt.Sprintf("open the way to its port %d", config.EtcdPeerPort), "the other masters' etcd would not reach its own: %s", strings.Join(s.Reach.Unreaching, "; "))
	}
	return out
}

// Port is a TCP port that a node listens on.
type Port struct {
	Number int
	For    string
}

// Ports are those that a master or a worker needs for itself.
func Ports(master bool) []Port {
	out := []Port{{config.KubeletPort, "the kubelet"}, {config.DNSHealthPort, "dns"}, {config.ProxyHealthPort, "the proxy"}}
	if master {
		out = append(out, Port{config.EtcdClientPort, "etcd"}, Port{config.EtcdPeerPort, "etcd"}, Port{config.EtcdHealthPort, "etcd"},
			Port{config.APIServerPort, "the API server"}, Port{config.ControllerManagerPort, "the controller manager"}, Port{config.SchedulerPort, "the scheduler"})
	}
	return out
}

// kernel reads the first two numbers of a release such as 6.1.0-18-amd64.
func kernel(release string) ([2]int, bool) {
	var v [2]int
	n, _ := fmt.Sscanf(release, "%d.%d", &v[0], &v[1])
	return v, n == 2
}

func missingControllers(f host.Facts) []string {
	var out []string
	for _, c := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(f.Controllers, c) {
			out = append(out, c)
		}
	}
	return out
}
