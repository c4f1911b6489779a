package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/bundle/share"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// Install is the change after which a host has the bundle's programs.
type Install struct {
	Bundle *Bundle
	// Progress, when not nil, is told how much of the archive was sent.
	Progress func(sent, total int64)
	// From is who may hand the bundle on to the host; nil is nobody.
	From Source
	// Keep leaves unpacker and archive on the host, so that it can hand them on.
	Keep bool
}

// Source is another host that has the bundle.
type Source interface {
	// Address is where the bundle is handed on, as host:port; empty where it is not.
	Address() string
	// Failed is told why it could not be had from there.
	Failed(h host.Host, why error)
}

var _ step.Change = Install{}

func (i Install) String() string {
	names := make([]string, 0, len(i.Bundle.Programs()))
	for _, f := range i.Bundle.Programs() {
		names = append(names, f.Name)
	}
	return fmt.Sprintf("install %s of bundle %s in %s", strings.Join(names, ", "), i.Bundle.Version, config.BinDir)
}

// Watch names the programs.
func (i Install) Watch() step.Watch {
	var w step.Watch
	for _, f := range i.Bundle.Programs() {
		w.Files = append(w.Files, config.Binary(f.Name))
	}
	return w
}

// Done reports whether the host has all programs, as the manifest has them.
func (i Install) Done(s step.Seen) bool { return len(i.Differing(s)) == 0 }

// Differing returns the paths of programs that are missing or different.
func (i Install) Differing(s step.Seen) []string {
	var out []string
	for _, f := range i.Bundle.Programs() {
		p := config.Binary(f.Name)
		if info, ok := s.Files[p]; !ok || info.SHA256 != f.SHA256 || info.Mode != f.Mode {
			out = append(out, p)
		}
	}
	return out
}

// Staged are the paths of the unpacker and the archive on a host. A master keeps
// them, to hand them on; elsewhere they are there only while they are used.
func Staged() []string {
	return []string{path.Join(config.BootstrapDir, archive.UnpackerName), path.Join(config.BootstrapDir, "bundle.tar.zst")}
}

// Apply sends the unpacker, and has it install the bundle: from another host, or
// else from the archive, which is sent then. That is a quarter of the size of what
// is in it.
func (i Install) Apply(ctx context.Context, h host.Host, _ step.Seen) error {
	unpacker, remote := Staged()[0], Staged()[1]
	if _, err := h.Run(ctx, host.Command{Argv: []string{"mkdir", "-p", "-m", "0700", config.BootstrapDir}}); err != nil {
		return err
	}
	if err := h.Upload(ctx, unpacker, bytes.NewReader(i.Bundle.Unpacker), 0o700, nil); err != nil {
		return err
	}
	fetched, err := i.fetch(ctx, h, unpacker)
	if err != nil {
		return err
	}
	if !fetched {
		if err := i.send(ctx, h, remote); err != nil {
			return err
		}
		if _, err := h.Run(ctx, host.Command{Argv: []string{unpacker, "-archive", remote, "-digest", i.Bundle.Digest(), "-dir", config.BinDir, "-sums", config.SumsDir}}); err != nil {
			return err
		}
	}
	if i.Keep {
		return nil
	}
	_, err = h.Run(ctx, host.Command{Argv: []string{"rm", "-f", remote, unpacker}})
	return err
}

// fetch returns false where the bundle has to be sent.
func (i Install) fetch(ctx context.Context, h host.Host, unpacker string) (bool, error) {
	if i.From == nil || i.Keep {
		return false, nil
	}
	address := i.From.Address()
	if address == "" {
		return false, nil
	}
	_, err := h.Run(ctx, host.Command{Argv: []string{unpacker, "-from", address, "-digest", i.Bundle.Digest(), "-dir", config.BinDir, "-sums", config.SumsDir}})
	var failed *host.CommandError
	if errors.As(err, &failed) && failed.Status == share.ExitFetch {
		i.From.Failed(h, err)
		return false, nil
	}
	return err == nil, err
}

func (i Install) send(ctx context.Context, h host.Host, remote string) error {
	f, err := os.Open(i.Bundle.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return h.Upload(ctx, remote, f, 0o600, func(sent int64) {
		if i.Progress != nil {
			i.Progress(sent, info.Size())
		}
	})
}

// Serve is the command by which a host that kept the bundle hands it on, for as
// long as the connection lasts.
func (b *Bundle) Serve(address string) host.Command {
	return host.Command{Argv: []string{Staged()[0], "-serve", address, "-archive", Staged()[1], "-digest", b.Digest()}, Lasting: true}
}
