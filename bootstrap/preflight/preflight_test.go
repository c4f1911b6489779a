package preflight

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

var around = Surroundings{Platform: "linux/amd64", Bundle: "b.tar.zst"}

// good is a server that has just what a master needs.
func good(name, ip string) Subject {
	return Subject{
		Title: name + " (" + ip + ")",
		Node:  spec.Node{ClusterID: "c1", ClusterName: "demo", Master: true, Host: spec.Host{Name: name, Address: ip}},
		Facts: host.Facts{
			Kernel: "5.13.0-1-amd64", Arch: "amd64", Controllers: []string{"cpuset", "cpu", "memory", "pids"}, SystemdVersion: 247,
			MemoryBytes: minMasterMemory, DiskFreeBytes: minMasterVarDisk, OptFreeBytes: minOptDisk,
			MachineID: "id-" + name, Hostname: name, Addresses: addr.MustIPs("198.51.100.9," + ip), Listening: []int{22, 10251, 30000},
		},
	}
}

func TestEachFindingSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Subject)
		want   []string // parts of one finding each, in order
	}{
		"just enough":            {func(*Subject) {}, nil},
		"no systemd":             {func(s *Subject) { s.Facts.SystemdVersion = 0 }, []string{"runs no systemd"}},
		"old systemd":            {func(s *Subject) { s.Facts.SystemdVersion = 246 }, []string{"its systemd is 246, the oldest that works is 247"}},
		"old kernel":             {func(s *Subject) { s.Facts.Kernel = "5.10.0-28-amd64" }, []string{`its kernel is "5.10.0-28-amd64", the oldest that works is 5.13`}},
		"older kernel, 2 digits": {func(s *Subject) { s.Facts.Kernel = "4.19.0" }, []string{"its kernel"}},
		"new kernel":             {func(s *Subject) { s.Facts.Kernel = "6.1.0+" }, nil},
		"no kernel":              {func(s *Subject) { s.Facts.Kernel = "" }, []string{"its kernel"}},
		"architecture":           {func(s *Subject) { s.Facts.Arch = "arm64" }, []string{"it is linux/arm64, the bundle b.tar.zst is for linux/amd64: use a bundle for linux/arm64"}},
		"cgroups":                {func(s *Subject) { s.Facts.Controllers = []string{"cpu"} }, []string{"its cgroups lack the controllers memory, pids"}},
		"memory":                 {func(s *Subject) { s.Facts.MemoryBytes-- }, []string{"it has 899 MB of memory, the least that works is 900"}},
		"less for a worker":      {func(s *Subject) { s.Node.Master, s.Facts.MemoryBytes, s.Facts.DiskFreeBytes = false, 450<<20, 1<<30 }, nil},
		"disk":                   {func(s *Subject) { s.Facts.DiskFreeBytes = 5 << 20 }, []string{"5 MB are free under /var/lib"}},
		"disk of the programs":   {func(s *Subject) { s.Facts.OptFreeBytes = 5 << 20 }, []string{"5 MB are free under /opt"}},
		"a port":                 {func(s *Subject) { s.Facts.Listening = []int{10250} }, []string{"port 10250, which the kubelet needs, is in use: stop what listens there (ss -ltnp 'sport = :10250' shows it)"}},
		"a master's ports": {func(s *Subject) { s.Facts.Listening = []int{2379, 2380, 2381, 6443, 10257, 10259} },
			[]string{"2379", "2380", "2381", "6443", "10257", "10259"}},
		"another network": {func(s *Subject) { s.Facts.Bound = []int{53, 8472} }, []string{"UDP port 8472, which the pod network needs, is in use"}},
		"not a worker's":  {func(s *Subject) { s.Node.Master, s.Facts.Listening = false, []int{2379, 6443, 10257, 10259} }, nil},
		"clock ahead":     {func(s *Subject) { s.Skew = 2 * time.Minute }, []string{"its clock is 2m0s ahead of this machine's"}},
		"clock behind":    {func(s *Subject) { s.Skew = -time.Hour }, []string{"its clock is 1h0m0s behind this machine's"}},
		"clock near":      {func(s *Subject) { s.Skew = -MaxSkew }, nil},
		"address":         {func(s *Subject) { s.Node.Host.NodeIPs = addr.MustIPs("203.0.113.1") }, []string{"it has no address 203.0.113.1: give node_ips, one of 198.51.100.9, 192.0.2.1"}},
		"masters": {func(s *Subject) {
			s.Node.Master, s.Reach = false, Reach{None: true, Unreached: []string{"a: refused", "b: refused"}}
		},
			[]string{"it reaches no master: a: refused; b: refused: open the way to the masters' API, port 6443"}},
		"one of a worker's masters": {func(s *Subject) { s.Node.Master, s.Reach.Unreached = false, []string{"a: refused"} }, nil},
		"one of a master's masters": {func(s *Subject) { s.Reach.Unreached = []string{"a: refused"} }, []string{"it does not reach a: refused: open the way to the masters' ports 6443 and 2380"}},
		"masters that do not reach it": {func(s *Subject) { s.Reach.Unreaching = []string{"a: no answer"} },
			[]string{"the other masters' etcd would not reach its own: a: no answer: open the way to its port 2380"}},
		"all together": {func(s *Subject) {
			s.Facts.SystemdVersion, s.Facts.Kernel, s.Facts.Listening = 0, "3.2", []int{10256, 10253}
		},
			[]string{"systemd", "kernel", "10253", "10256"}},
		"another cluster": {func(s *Subject) {
			s.Identity, s.Facts = &install.Identity{ClusterID: "c2", ClusterName: "other", NodeName: "a"}, host.Facts{}
		}, []string{`is already node "a" of cluster "other" (c2)`}},
		"another node": {func(s *Subject) { s.Identity = &install.Identity{ClusterID: "c1", NodeName: "z"} }, []string{"already node"}},
		"of another pool": {func(s *Subject) {
			s.Identity, s.Node.Master, s.Node.Pool = &install.Identity{ClusterID: "c1", NodeName: "a", Pool: "old"}, false, "new"
		}, []string{"it is a node of this cluster already, as one of pool old: remove it there first"}},
		"a master for a pool": {func(s *Subject) {
			s.Identity, s.Node.Master, s.Node.Pool = &install.Identity{ClusterID: "c1", NodeName: "a"}, false, "new"
		}, []string{"already, as a master"}},
		"itself, whatever it is by now": {func(s *Subject) {
			s.Identity, s.Facts = &install.Identity{ClusterID: "c1", NodeName: "a"}, host.Facts{Listening: []int{10250}}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := good("a", "192.0.2.1")
			c.change(&s)
			got := Check([]Subject{s, good("b", "192.0.2.2")}, around)
			if got["b"] != nil {
				t.Errorf("the other one: %v", got["b"])
			}
			var e *Error
			if errors.As(got["a"], &e); (e != nil) != (len(c.want) > 0) {
				t.Fatalf("found %v", got["a"])
			}
			if e == nil {
				return
			}
			if len(e.Findings) != len(c.want) || e.Host != s.Title {
				t.Fatalf("found on %s: %v, want %d findings", e.Host, e.Findings, len(c.want))
			}
			for i, f := range e.Findings {
				if !strings.Contains(f.String(), c.want[i]) || f.Remedy == "" {
					t.Errorf("finding %d is %q, want %q", i, f, c.want[i])
				}
				if !strings.Contains(e.Error(), f.Problem) {
					t.Errorf("%q is not in %q", f.Problem, e)
				}
			}
			if foreign := (*install.ForeignError)(nil); errors.As(got["a"], &foreign) != strings.Contains(c.want[0], "already node") {
				t.Errorf("told as foreign: %v", foreign)
			}
		})
	}
}

func TestServersThatAreCopiesOfEachOtherAreFound(t *testing.T) {
	a, b, c := good("a", "192.0.2.1"), good("b", "192.0.2.2"), good("c", "192.0.2.3")
	b.Facts.MachineID, b.Facts.Hostname = a.Facts.MachineID, a.Facts.Hostname
	got := Check([]Subject{a, b, c}, Surroundings{Machines: map[string]string{"c": "id-c", "d": "id-d"}})
	for name, other := range map[string]string{"a": "b (192.0.2.2)", "b": "a (192.0.2.1)"} {
		if e := got[name]; e == nil || !strings.Contains(e.Error(), "machine-id id-a of "+other) || !strings.Contains(e.Error(), "hostname a of "+other) {
			t.Errorf("%s: %v", name, e)
		}
	}
	if got["c"] != nil {
		t.Errorf("c, whose Node is its own: %v", got["c"])
	}
	got = Check([]Subject{c}, Surroundings{Machines: map[string]string{"d": "id-c"}})
	if e := got["c"]; e == nil || !strings.Contains(e.Error(), "of the cluster's node d") {
		t.Errorf("c beside d: %v", e)
	}
	c.Facts.MachineID, c.Facts.Hostname, b.Facts.MachineID, b.Facts.Hostname = "", "", "", ""
	if got := Check([]Subject{b, c}, Surroundings{Machines: map[string]string{"d": ""}}); len(got) > 0 {
		t.Errorf("two that say nothing are no copies: %v", got)
	}
}

func TestSkewLeavesOutTheWayThereAndBack(t *testing.T) {
	asked := time.Unix(1000, 900e6)
	answered := asked.Add(2 * time.Second)
	for unix, want := range map[int64]time.Duration{
		0: 0, 1000: 0, 1002: 0, 1102: 99*time.Second + 100*time.Millisecond, 900: -(99*time.Second + 900*time.Millisecond),
	} {
		if got := Skew(asked, answered, unix); got != want {
			t.Errorf("said %d: %s, want %s", unix, got, want)
		}
	}
}

func TestANameOfALivingNodeElsewhereIsRefused(t *testing.T) {
	a := good("a", "192.0.2.1")
	got := Check([]Subject{a}, Surroundings{Addresses: map[string]string{"a": "192.0.2.7", "b": "192.0.2.1"}})
	if e := got["a"]; e == nil || !strings.Contains(e.Error(), "has a node a already, at 192.0.2.7: give it another name") {
		t.Errorf("got %v", e)
	}
	// A server that was made anew at its address is the same node.
	for _, ip := range []string{"192.0.2.1", ""} {
		if got := Check([]Subject{a}, Surroundings{Addresses: map[string]string{"a": ip}}); len(got) > 0 {
			t.Errorf("known at %q: %v", ip, got)
		}
	}
}
