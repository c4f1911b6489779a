package cm

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"v2/c/cpu.stat": "usage_usec 1500\nuser_usec 1\n", "v2/c/memory.current": "1000\n", "v2/c/memory.max": "4096\n", "v2/c/pids.current": "3\n",
		"v2/c/memory.stat": "anon 200\ninactive_file 300\nactive_file 1\npgfault 7\npgmajfault 2\nodd\n",
		"v2/free/cpu.stat": "usage_usec 1\n", "v2/free/memory.max": "max\n", "v2/free/memory.current": "100\n", "v2/free/memory.stat": "inactive_file 300\n",
		"cpuacct/c/cpuacct.usage": "1500000\n", "memory/c/memory.usage_in_bytes": "1000\n", "memory/c/memory.limit_in_bytes": "4096\n", "pids/c/pids.current": "3\n",
		"memory/c/memory.stat":       "rss 1\ntotal_rss 200\ninactive_file 1\ntotal_inactive_file 300\ntotal_pgfault 7\ntotal_pgmajfault 2\n",
		"cpuacct/free/cpuacct.usage": "1000\n", "memory/free/memory.usage_in_bytes": "100\n", "memory/free/memory.limit_in_bytes": "9223372036854771712\n", "memory/free/memory.stat": "total_inactive_file 300\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v1 := hierarchies{roots: map[string]string{}}
	for _, c := range []string{"cpuacct", "memory", "pids"} {
		v1.roots[c] = filepath.Join(root, c)
	}
	for name, h := range map[string]hierarchies{"v1": v1, "v2": {v2: true, roots: map[string]string{"": filepath.Join(root, "v2")}}} {
		want := Usage{CPU: 1500 * time.Microsecond, Memory: 1000, WorkingSet: 700, RSS: 200, MemoryLimit: 4096, PageFaults: 7, MajorPageFaults: 2, Processes: 3}
		if got, err := h.usage("c"); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
		// Without a limit, and with more that can be dropped than there is.
		if got, err := h.usage("free"); err != nil || got != (Usage{CPU: time.Microsecond, Memory: 100}) {
			t.Errorf("%s without a limit: %+v, %v", name, got, err)
		}
		if got, err := h.usage("gone"); err == nil {
			t.Errorf("%s: one that is gone uses %+v", name, got)
		}
	}
}
