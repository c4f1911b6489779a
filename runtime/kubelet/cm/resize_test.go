package cm

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWider(t *testing.T) {
	small, large := Values{CPUShares: 2, CPUQuota: 10, CPUPeriod: 100, MemoryLimit: 5}, Values{CPUShares: 4, CPUQuota: 20, CPUPeriod: 100, MemoryLimit: 9}
	for name, c := range map[string]struct{ a, b, want Values }{
		"more":                {small, large, large},
		"less":                {large, small, large},
		"of each its own":     {Values{CPUShares: 9, CPUQuota: 1, CPUPeriod: 100, MemoryLimit: 9}, Values{CPUShares: 1, CPUQuota: 9, CPUPeriod: 100, MemoryLimit: 1}, Values{CPUShares: 9, CPUQuota: 9, CPUPeriod: 100, MemoryLimit: 9}},
		"no limit is widest":  {small, Values{CPUShares: 1}, Values{CPUShares: 2}},
		"also before a limit": {Values{CPUShares: 1}, small, Values{CPUShares: 2}},
	} {
		if got := wider(c.a, c.b); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestMemoryUsage(t *testing.T) {
	for name, c := range map[string]struct {
		h    hierarchies
		file string
	}{"v1": {v1(t), "memory.usage_in_bytes"}, "v2": {v2(t), "memory.current"}} {
		controller := "memory"
		if c.h.v2 {
			controller = ""
		}
		at := filepath.Join(c.h.roots[controller], "pods/p", c.file)
		if _, err := c.h.memoryUsage("pods/p"); err == nil {
			t.Errorf("%s: the usage of what is not there is known", name)
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int64{"4096\n": 4096, "max\n": -1} {
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := c.h.memoryUsage("pods/p"); err == nil && got != want || err != nil && want >= 0 {
				t.Errorf("%s: %q is read as %d, %v", name, text, got, err)
			}
		}
	}
	if _, err := (hierarchies{}).memoryUsage("p"); err == nil {
		t.Error("without the controller, a usage is known")
	}
}
