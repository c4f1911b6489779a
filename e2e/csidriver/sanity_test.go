package main

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
)

// mountTable is a model of mounts: what is mounted where, and no file of it.
type mountTable struct {
	mu sync.Mutex
	at map[string]string // source by target
}

func (m *mountTable) Bind(source, target string, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at[target] == "" {
		m.at[target] = source
	}
	return nil
}

func (m *mountTable) Unmount(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.at, path)
	return nil
}

func (m *mountTable) Mounted(path string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[path] != "", nil
}

func (*mountTable) AttachLoop(file string) (string, error) { return file, nil }
func (*mountTable) DetachLoop(string) error                { return nil }

// TestSanity: the driver by which volumes of others are proven is one that keeps to the
// specification, by the suite of those who wrote it.
func TestSanity(t *testing.T) {
	dir := t.TempDir()
	table := &mountTable{at: map[string]string{}}
	d := &driver{name: "test.csi.gantry.run", node: "node-1", dir: filepath.Join(dir, "data"), limit: 100, capacity: 1 << 30, mounts: table, now: time.Now}
	s, err := d.server(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "csi.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	c := sanity.NewTestConfig()
	c.Address, c.TargetPath, c.StagingPath = socket, filepath.Join(dir, "mount"), filepath.Join(dir, "staging")
	c.TestVolumeSize, c.TestVolumeExpandSize = 1<<20, 2<<20
	sanity.Test(t, c)

	for _, kind := range []string{volumes, snapshots} {
		left, err := filepath.Glob(filepath.Join(d.dir, kind, "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("of %s is left: %q, %v", kind, left, err)
		}
	}
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.at) > 0 {
		t.Errorf("still mounted: %v", table.at)
	}
	if free, err := d.free(); err != nil || free != d.capacity {
		t.Errorf("%d bytes are free, %v", free, err)
	}
}
