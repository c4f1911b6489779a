package bootstrap

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
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

// Facts asks a server what it is, and which preflight checks it fails as a master or
// a worker whose volumes lie in the directory storage, "" for the default one. Nothing is
// changed.
func (e *Engine) Facts(ctx context.Context, h spec.Host, master bool, storage string) (HostFacts, error) {
	f := fleet.Connect(ctx, e.access().Config, []spec.Host{h})
	defer f.Close()
	m := f.Members[h.Name]
	if m.Host == nil {
		return HostFacts{}, m.Status.Err
	}
	files, err := m.Host.ReadFiles(ctx, install.IdentityFile)
	if err != nil {
		return HostFacts{}, err
	}
	out := HostFacts{HostKey: m.Status.HostKey}
	if out.Identity, err = install.ReadIdentity(files); err != nil {
		return HostFacts{}, fmt.Errorf("%s: %w", m.Title(), err)
	}
	asked := e.Now()
	if out.Facts, err = host.ReadFacts(ctx, m.Host, cmp.Or(storage, config.VolumesDir)); err != nil {
		return HostFacts{}, fmt.Errorf("%s: %w", m.Title(), err)
	}
	if out.Identity != nil {
		return out, nil
	}
	s := preflight.Subject{
		Title: m.Title(), Node: spec.Node{Host: h, Master: master, Kubelet: spec.Kubelet{Storage: spec.Storage{Path: storage}}}, Facts: out.Facts,
		Skew: preflight.Skew(asked, e.Now(), out.UnixTime),
	}
	out.Findings = preflight.Findings(preflight.Check([]preflight.Subject{s}, machine.Surroundings(e.Bundle))[h.Name])
	return out, nil
}
