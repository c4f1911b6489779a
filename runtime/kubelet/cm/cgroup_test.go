package cm

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts(strings.NewReader(`25 30 0:23 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw
27 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
28 25 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
29 30 8:1 / / rw - ext4 /dev/sda1 rw
broken line
30 25 0:27 / /sys/fs/cgroup/short - cgroup cgroup
31 25 0:28
`))
	for controller, want := range map[string]string{"unified": "/unified", "cpu": "/cpu,cpuacct", "cpuacct": "/cpu,cpuacct", "name=systemd": "/systemd", "memory": ""} {
		if want != "" {
			want = "/sys/fs/cgroup" + want
		}
		if got[controller] != want {
			t.Errorf("%s is at %q, want %q", controller, got[controller], want)
		}
	}
	for _, at := range got {
		if at == "/" || at == "/sys/fs/cgroup/short" {
			t.Errorf("%s is taken for a hierarchy", at)
		}
	}
}

// v1 and v2 are hosts on paper: directories instead of cgroup file systems.
func v1(t *testing.T) hierarchies {
	dir := t.TempDir()
	return hierarchies{roots: map[string]string{"cpu": dir + "/cpu", "memory": dir + "/memory", "name=systemd": dir + "/systemd"}}
}

func v2(t *testing.T) hierarchies {
	return hierarchies{v2: true, roots: map[string]string{"": t.TempDir()}}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(data)
}

func TestEnsure(t *testing.T) {
	v := Values{CPUShares: 1024, CPUQuota: 50_000, CPUPeriod: 100_000, MemoryLimit: 7}
	for name, c := range map[string]struct {
		h    hierarchies
		v    Values
		want map[string]string
	}{
		"v1":          {v1(t), v, map[string]string{"cpu:cpu.shares": "1024", "cpu:cpu.cfs_quota_us": "50000", "cpu:cpu.cfs_period_us": "100000", "memory:memory.limit_in_bytes": "7", "pids:pids.max": ""}},
		"v2":          {v2(t), v, map[string]string{":cpu.weight": "100", ":cpu.max": "50000 100000", ":memory.max": "7"}},
		"v1, nothing": {v1(t), Values{}, map[string]string{"cpu:cpu.shares": "", "cpu:cpu.cfs_quota_us": "", "memory:memory.limit_in_bytes": ""}},
		"v2, nothing": {v2(t), Values{}, map[string]string{":cpu.weight": "", ":cpu.max": "", ":memory.max": ""}},
	} {
		for range 2 {
			if err := c.h.ensure("a/b", c.v); err != nil {
				t.Fatal(err)
			}
		}
		for file, want := range c.want {
			controller, file, _ := strings.Cut(file, ":")
			root, ok := c.h.roots[controller]
			if !ok {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, "a/b")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := content(t, filepath.Join(root, "a/b", file)); got != want {
				t.Errorf("%s: %s is %q, want %q", name, file, got, want)
			}
		}
	}
	h := v2(t)
	if err := h.ensure("a/b", Values{}); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": "+cpuset", "a": "+cpuset", "a/b": ""} { // the last that was written
		if got := content(t, filepath.Join(h.roots[""], dir, "cgroup.subtree_control")); got != want {
			t.Errorf("%q hands on %q, want %q", dir, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, h := range []hierarchies{{roots: map[string]string{"cpu": file}}, {v2: true, roots: map[string]string{"": file}}} {
		if h.ensure("a", Values{}) == nil || h.place("a", 1) == nil {
			t.Error("a cgroup that cannot be made is no error")
		}
	}
}

func TestPlaceAndFind(t *testing.T) {
	one, two := v1(t), v2(t)
	for name, h := range map[string]hierarchies{"v1": one, "v2": two} {
		for path, pid := range map[string]int{"a/holder": 7, "a/b/c": 9, "other": 8} {
			if err := h.place(path, pid); err != nil {
				t.Fatal(err)
			}
		}
		if got := h.processes("a"); !slices.Equal(got, []int{7, 9}) {
			t.Errorf("%s: processes %v", name, got)
		}
		if got := h.processes("none"); len(got) != 0 {
			t.Errorf("%s: of no cgroup %v", name, got)
		}
	}
	if got := content(t, one.roots["name=systemd"]+"/a/holder/cgroup.procs"); got != "7" {
		t.Errorf("systemd is told %q", got)
	}
	file := filepath.Join(t.TempDir(), "procs")
	if err := os.WriteFile(file, []byte("12\n0\n-3\nx\n5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readPIDs(file); !reflect.DeepEqual(got, []int{12, 5}) {
		t.Errorf("read %v", got)
	}
}

func TestRemove(t *testing.T) {
	h := v1(t)
	for _, root := range h.roots {
		for _, dir := range []string{"a/b/c", "a/d", "other"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the second time nothing is there
		if err := h.remove("a"); err != nil {
			t.Error(err)
		}
	}
	for _, root := range h.roots {
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) != 1 || entries[0].Name() != "other" {
			t.Errorf("left are %v, %v", entries, err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.roots["cpu"], "other", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.remove("other"); err == nil {
		t.Error("a directory that cannot be removed is no error")
	}
}

func TestOOMKilled(t *testing.T) {
	for name, c := range map[string]struct {
		h    hierarchies
		file string
	}{"v1": {v1(t), "memory/a/memory.oom_control"}, "v2": {v2(t), "a/memory.events"}} {
		top := c.h.roots[""]
		if !c.h.v2 {
			top = filepath.Dir(c.h.roots["memory"])
		}
		path := filepath.Join(top, c.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if c.h.oomKilled("a") {
			t.Errorf("%s: without a file", name)
		}
		for data, want := range map[string]bool{"oom 1\noom_kill 0\n": false, "under_oom 0\noom_kill 2\n": true, "oom_kill_disable 1\n": false} {
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := c.h.oomKilled("a"); got != want {
				t.Errorf("%s: %q: %v", name, data, got)
			}
		}
		if c.h.oomKilled("") || (hierarchies{v2: c.h.v2}).oomKilled("a") {
			t.Errorf("%s: of no cgroup", name)
		}
	}
}

func TestAllowedOOMScoreAdj(t *testing.T) {
	for _, c := range []struct {
		want, own int
		maySet    bool
		allowed   int
	}{{500, 0, false, 500}, {0, 0, false, 0}, {-997, 0, false, 0}, {-997, 0, true, -997}, {-997, -998, false, -997}} {
		if got := allowedOOMScoreAdj(c.want, c.own, c.maySet); got != c.allowed {
			t.Errorf("%+v: %d", c, got)
		}
	}
	for status, want := range map[string]bool{
		"Name:\tx\nCapEff:\t000001ffffffffff\n": true, "CapEff:\t0000000001000000\n": true, "CapEff:\t0000000000ffffff\n": false, "CapEff:\tx\n": false, "CapPrm:\t0000000001000000\n": false, "": false,
	} {
		if got := maySetResources(status); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
	if adj, ok := AllowedOOMScoreAdj(1000); !ok || adj != 1000 {
		t.Errorf("the most that there is: %d, %v", adj, ok)
	}
}
