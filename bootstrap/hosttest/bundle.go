package hosttest

import (
	"bytes"
	"context"
	"io"
	"net"
	"path"
	"time"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/bundle/share"
	"github.com/gantry-run/gantry/bootstrap/host"
)

// unpacker is where the program is that installs a bundle.
var unpacker = bundle.Staged()[0]

// install is the unpacker's part: -archive FILE or -from ADDRESS -digest DIGEST,
// and -dir DIR.
func (m *Model) install(c host.Command) error {
	data, dir := m.files[flag(c, "-archive")].data, flag(c, "-dir")
	if from := flag(c, "-from"); from != "" {
		var err error
		if data, err = m.fetch(from, flag(c, "-digest")); err != nil {
			return &host.CommandError{Host: m.Title, Command: c, Status: share.ExitFetch, Stderr: "gantry-unpack: " + err.Error()}
		}
	}
	return archive.Walk(bytes.NewReader(data), func(_ archive.Manifest, f archive.File, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err == nil && f.Name != archive.UnpackerName {
			err = m.put(path.Join(dir, f.Name), data, f.Mode)
		}
		return err
	})
}

func flag(c host.Command, name string) string {
	for i, a := range c.Argv[:len(c.Argv)-1] {
		if a == name {
			return c.Argv[i+1]
		}
	}
	return ""
}

// patience is how long the other end may take to begin.
const patience = 30 * time.Second

func (m *Model) fetch(address, digest string) ([]byte, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var peer *Model
	if m.Peer != nil {
		peer = m.Peer(name)
	}
	if peer == nil || peer == m {
		return nil, share.ErrFetch
	}
	// As the program does: the other end is started at the same time.
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		peer.mu.Lock()
		serving, refuses, data := peer.serving, peer.refuses, peer.files[bundle.Staged()[1]].data
		peer.mu.Unlock()
		if serving == digest {
			return data, nil
		}
		if refuses || time.Now().After(end) {
			return nil, share.ErrFetch
		}
	}
}

// serve hands the bundle on for as long as the connection lasts.
func (m *Model) serve(ctx context.Context, lost chan struct{}, c host.Command) error {
	if err := m.offer(c); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-lost:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serving = ""
	return m.unreachable()
}

func (m *Model) offer(c host.Command) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	digest := ""
	err := archive.Walk(bytes.NewReader(m.files[flag(c, "-archive")].data), func(manifest archive.Manifest, _ archive.File, _ io.Reader) error {
		digest = manifest.Digest()
		return archive.Stop()
	})
	m.refuses = err != nil || digest != flag(c, "-digest")
	if m.refuses {
		return &host.CommandError{Host: m.Title, Command: c, Status: 1, Stderr: "gantry-unpack: this is another bundle"}
	}
	m.serving = digest
	return nil
}
