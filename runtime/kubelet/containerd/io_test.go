package containerd

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestOutputIsTakenUpOnce: however many lists find a container at the same time, one reads
// its output, and nobody does once it has ended.
func TestOutputIsTakenUpOnce(t *testing.T) {
	dir := t.TempDir()
	o := &outputs{dir: filepath.Join(dir, "io"), pumps: map[string]*pump{}}
	c := container.Container{ID: "id", LogPath: filepath.Join(dir, "logs", "0.log")}
	if err := os.MkdirAll(o.ioDir(c.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	fifo, kept := filepath.Join(o.ioDir(c.ID), "stdout"), filepath.Join(dir, "kept")
	if err := errors.Join(mkfifo(fifo), os.Link(fifo, kept)); err != nil {
		t.Fatal(err)
	}
	readers := func() error {
		f, err := os.OpenFile(kept, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			f.Close()
		}
		return err
	}
	begin := make(chan struct{})
	var lists sync.WaitGroup
	for range 16 {
		lists.Go(func() {
			<-begin
			if err := o.adoptIO(c); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	lists.Wait()
	if err := readers(); err != nil {
		t.Errorf("nobody reads: %v", err)
	}
	o.endIO(c.ID)
	if err := readers(); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("after its end somebody reads still: %v", err)
	}
}
