package bootstrap

import (
	"context"
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// HostFacts is what a server is, whether or not it belongs to a cluster.
type HostFacts struct {
	host.Facts
	// HostKey is the key that it showed.
	HostKey string
	// Identity is the node that it is; nil on a bare server.
	Identity *install.Identity
	// Findings stand against a bare server's becoming a node.
	Findings []preflight.Finding
}

// Facts asks a server what it is, and what stands against its becoming a master or
// a worker. Nothing is changed.
func (e *Engine) Facts(ctx context.Context, h spec.Host, master bool) (HostFacts, error) {
	f := e.connect(ctx, []spec.Host{h})
	defer f.close()
	m := f.members[h.Name]
	if m.host == nil {
		return HostFacts{}, m.status.Err
	}
	files, err := m.host.ReadFiles(ctx, install.IdentityFile)
	if err != nil {
		return HostFacts{}, err
	}
	out := HostFacts{HostKey: m.status.HostKey}
	if out.Identity, err = install.ReadIdentity(files); err != nil {
		return HostFacts{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	asked := e.Now()
	if out.Facts, err = host.ReadFacts(ctx, m.host); err != nil {
		return HostFacts{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	if out.Identity != nil {
		return out, nil
	}
	s := preflight.Subject{
		Title: m.title(), Node: spec.Node{Host: h, Master: master}, Facts: out.Facts,
		Skew: preflight.Skew(asked, e.Now(), out.UnixTime),
	}
	out.Findings = preflight.Findings(preflight.Check([]preflight.Subject{s}, e.surroundings())[h.Name])
	return out, nil
}
