package containerd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/pkg/cio"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
)

// How output gets into the log.
//
// A container's streams are FIFOs that the shim writes and this process reads:
// two goroutines per container (about 12 KiB), against 20 MB and more for a
// logger process per container (containerd's binary:// scheme). The shim holds
// both ends of a FIFO open, so while this process is away nothing is lost: what
// is written waits in the pipe, and a container that fills it (1 MiB) waits too.
// The one gap: the last output of a container that ends while this process is
// away goes with its pipe.

// pipeSize is asked for each stream; the kernel may refuse, which is harmless.
const pipeSize = 1 << 20

// drainTimeout bounds the wait for the rest of an ended container's output.
const drainTimeout = 2 * time.Second

// pump moves a container's output into its log and to those attached.
type pump struct {
	dir    string
	log    *podlog.Writer
	ends   []*os.File // read ends
	keep   []*os.File // write ends: without them a read would end while no shim writes yet
	copies sync.WaitGroup
	done   chan struct{} // closed when all is written

	mu   sync.Mutex
	subs map[chan chunk]struct{}
}

type chunk struct {
	stream string
	data   []byte
}

// outputs are the pumps of running containers.
type outputs struct {
	dir      string // on a tmpfs
	adopting sync.Mutex
	mu       sync.Mutex
	pumps    map[string]*pump // by container ID
}

// pump is that of a container; nil when it does not run.
func (o *outputs) pump(id string) *pump {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pumps[id]
}

// abandonAll stops all pumps; the containers go on.
func (o *outputs) abandonAll() {
	o.mu.Lock()
	pumps := o.pumps
	o.pumps = map[string]*pump{}
	o.mu.Unlock()
	for _, p := range pumps {
		p.abandon()
	}
}

func (o *outputs) ioDir(id string) string { return filepath.Join(o.dir, id) }

// startIO makes the FIFOs and begins to copy.
func (o *outputs) startIO(id, logPath string, tty, stdin bool) (cio.Config, error) {
	dir := o.ioDir(id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cio.Config{}, fmt.Errorf("make the directory of container %s: %w", id, err)
	}
	cfg := cio.Config{Terminal: tty, Stdout: filepath.Join(dir, "stdout")}
	names := []string{"stdout"}
	if !tty {
		cfg.Stderr = filepath.Join(dir, "stderr")
		names = append(names, "stderr")
	}
	if stdin {
		cfg.Stdin = filepath.Join(dir, "stdin")
		if err := mkfifo(cfg.Stdin); err != nil {
			return cio.Config{}, err
		}
	}
	log, err := podlog.NewWriter(logPath, time.Now)
	if err != nil {
		return cio.Config{}, err
	}
	p := &pump{dir: dir, log: log, done: make(chan struct{}), subs: map[chan chunk]struct{}{}}
	for _, name := range names {
		if err := p.open(name); err != nil {
			p.abandon()
			return cio.Config{}, err
		}
	}
	for i, name := range names {
		p.copies.Add(1)
		go func() {
			defer p.copies.Done()
			p.log.Copy(name, p.ends[i], func(b []byte) { p.tee(name, b) }) //nolint:errcheck // what cannot be written must not stop the container
			io.Copy(io.Discard, p.ends[i])                                 //nolint:errcheck // until it ends
		}()
	}
	go func() {
		p.copies.Wait()
		p.log.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for s := range p.subs {
			close(s)
		}
		p.subs = nil
		close(p.done)
	}()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pumps[id] = p
	return cfg, nil
}

func mkfifo(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the FIFO %s: %w", path, err)
	}
	return nil
}

func (p *pump) open(name string) error {
	path := filepath.Join(p.dir, name)
	if err := mkfifo(path); err != nil {
		return err
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.ends = append(p.ends, r)
	w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.keep = append(p.keep, w)
	syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), 1031 /* F_SETPIPE_SZ */, pipeSize) //nolint:errcheck // see pipeSize
	return nil
}

// finish closes our write ends and waits until the rest is read.
func (p *pump) finish() {
	for _, f := range p.keep {
		f.Close()
	}
	select {
	case <-p.done:
	case <-time.After(drainTimeout):
	}
	for _, f := range p.ends {
		f.Close()
	}
}

// abandon stops reading at once, what was read being written: the container goes
// on, and the next process reads on.
func (p *pump) abandon() {
	for _, f := range append(p.ends, p.keep...) {
		f.Close()
	}
	select {
	case <-p.done:
	case <-time.After(drainTimeout):
	}
}

func (p *pump) tee(stream string, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.subs) == 0 {
		return
	}
	data := append([]byte(nil), b...)
	for s := range p.subs {
		select {
		case s <- chunk{stream, data}:
		default: // a client that cannot keep up must not stop the container
		}
	}
}

// adoptIO takes up the output of a container that an earlier process started, once: of
// two that read from one FIFO, each would write half of the output.
func (o *outputs) adoptIO(c container.Container) error {
	o.adopting.Lock()
	defer o.adopting.Unlock()
	if o.pump(c.ID) != nil {
		return nil
	}
	_, err := os.Stat(filepath.Join(o.ioDir(c.ID), "stderr"))
	_, err2 := os.Stat(filepath.Join(o.ioDir(c.ID), "stdin"))
	if _, err := o.startIO(c.ID, c.LogPath, err != nil, err2 == nil); err != nil {
		return fmt.Errorf("take up the output of container %s: %w", c.ID, err)
	}
	return nil
}

// endIO ends a container's log and removes its FIFOs.
func (o *outputs) endIO(id string) {
	o.mu.Lock()
	p := o.pumps[id]
	delete(o.pumps, id)
	o.mu.Unlock()
	if p != nil {
		p.finish()
	}
	os.RemoveAll(o.ioDir(id)) // on a tmpfs; nothing reads it again
}

// directIO is what the client library asks of a creator: the paths. The pump
// owns the files.
type directIO struct{ cfg cio.Config }

func (d directIO) Config() cio.Config { return d.cfg }
func (directIO) Cancel()              {}
func (directIO) Wait()                {}
func (directIO) Close() error         { return nil }
