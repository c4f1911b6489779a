package preflight

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/runtime/config"
)

// worker is a server that has just what a worker needs.
func worker(name, ip string) Subject {
	s := good(name, ip)
	s.Node.Master, s.Node.Pool = false, "p"
	s.Facts.MemoryBytes, s.Facts.DiskFreeBytes = minWorkerMemory, minWorkerVarDisk
	return s
}

func TestTheBordersOfWhatAServerMustHave(t *testing.T) {
	for name, tc := range map[string]struct {
		s      Subject
		change func(*Subject)
		says   string // empty: it passes
	}{
		"a worker with just enough":     {worker("a", "192.0.2.1"), func(*Subject) {}, ""},
		"a worker's memory":             {worker("a", "192.0.2.1"), func(s *Subject) { s.Facts.MemoryBytes-- }, "449 MB of memory, the least that works is 450"},
		"a worker's disk":               {worker("a", "192.0.2.1"), func(s *Subject) { s.Facts.DiskFreeBytes-- }, "1023 MB are free under /var/lib, the least that works is 1024"},
		"a master's disk":               {good("a", "192.0.2.1"), func(s *Subject) { s.Facts.DiskFreeBytes-- }, "2047 MB are free under /var/lib, the least that works is 2048"},
		"the disk of the programs":      {worker("a", "192.0.2.1"), func(s *Subject) { s.Facts.OptFreeBytes-- }, "511 MB are free under /opt, the least that works is 512"},
		"just ahead":                    {good("a", "192.0.2.1"), func(s *Subject) { s.Skew = MaxSkew }, ""},
		"a second ahead of that":        {good("a", "192.0.2.1"), func(s *Subject) { s.Skew = MaxSkew + time.Second }, "ahead of"},
		"a second behind that":          {good("a", "192.0.2.1"), func(s *Subject) { s.Skew = -MaxSkew - time.Second }, "behind"},
		"the oldest kernel's last":      {good("a", "192.0.2.1"), func(s *Subject) { s.Facts.Kernel = "5.12.19" }, "its kernel"},
		"a kernel without a second one": {good("a", "192.0.2.1"), func(s *Subject) { s.Facts.Kernel = "6" }, "its kernel"},
		"no cgroup but memory":          {good("a", "192.0.2.1"), func(s *Subject) { s.Facts.Controllers = []string{"memory"} }, "controllers cpu, pids"},
		"a worker's kubelet port":       {worker("a", "192.0.2.1"), func(s *Subject) { s.Facts.Listening = []int{config.KubeletPort} }, "which the kubelet needs"},
		"programs that cannot be run": {worker("a", "192.0.2.1"), func(s *Subject) {
			s.Facts.Unusable = []host.Mount{{Dir: "/var/lib/gantry", At: "/var", Option: "noexec"}}
		}, "the file system at /var, on which /var/lib/gantry lies, is mounted noexec, and programs are run from there: mount it without noexec (mount -o remount,exec /var, and in /etc/fstab), or give /var/lib/gantry a file system"},
		"files that cannot be written": {worker("a", "192.0.2.1"), func(s *Subject) {
			s.Facts.Unusable = []host.Mount{{Dir: "/opt/gantry", At: "/opt", Option: "ro"}}
		}, "the file system at /opt, on which /opt/gantry lies, is mounted read-only: mount it to be written"},
		"a worker that is a reached one": {worker("a", "192.0.2.1"), func(s *Subject) { s.Reach.Unreaching = nil }, ""},
	} {
		tc.change(&tc.s)
		err := Check([]Subject{tc.s}, around)["a"]
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
	s := good("a", "192.0.2.1")
	s.Facts.Arch = "riscv64"
	if err := Check([]Subject{s}, Surroundings{})["a"]; err != nil {
		t.Errorf("without a bundle no platform is asked for: %v", err)
	}
}

func TestAWorkerIsDoubtedThatReachesSomeMasters(t *testing.T) {
	for name, tc := range map[string]struct {
		s    Subject
		want bool
	}{
		"it reaches all": {worker("a", "192.0.2.1"), false},
		"it reaches some": {func() Subject {
			s := worker("a", "192.0.2.1")
			s.Reach.Unreached = []string{"m2: x", "m3: y"}
			return s
		}(), true},
		"it reaches none": {func() Subject {
			s := worker("a", "192.0.2.1")
			s.Reach.Unreached, s.Reach.None = []string{"m2: x"}, true
			return s
		}(), false},
		"it is to be master": {func() Subject { s := good("a", "192.0.2.1"); s.Reach.Unreached = []string{"m2: x"}; return s }(), false},
	} {
		err := Doubts([]Subject{tc.s})["a"]
		var doubt *Doubt
		if errors.As(err, &doubt) != tc.want || doubt != nil && !strings.Contains(err.Error(), "a (192.0.2.1): it does not reach m2: x; m3: y:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheHostnameOfALivingNodeIsNotTakenTwice(t *testing.T) {
	s := worker("a", "192.0.2.1")
	s.Facts.Hostname = "box"
	err := Check([]Subject{s}, Surroundings{Hostnames: map[string]string{"a": "box", "c": "box", "b": "box", "d": "other"}})["a"]
	found := Findings(err)
	if len(found) != 2 || !strings.Contains(found[0].Problem, "hostname box of the cluster's node b") || !strings.Contains(found[1].Problem, "node c") {
		t.Errorf("found %v", found)
	}
	if Findings(errors.New("x")) != nil {
		t.Error("another error has findings")
	}
}

func TestThePortsOfANode(t *testing.T) {
	number := func(ports []Port) (out []int) {
		for _, p := range ports {
			out = append(out, p.Number)
		}
		slices.Sort(out)
		return out
	}
	if got := number(Ports(false)); !slices.Equal(got, []int{10250, 10253, 10256}) {
		t.Errorf("a worker's are %v", got)
	}
	if got := number(Ports(true)); !slices.Equal(got, []int{2379, 2380, 2381, 6443, 10250, 10253, 10256, 10257, 10259}) {
		t.Errorf("a master's are %v", got)
	}
}
