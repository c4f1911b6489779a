package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// Input is what the node's steps are made of, but for its place in etcd. It signs
// what the host lacks, and so is made once in a run. Certificates that begin no later
// than revoked are not good.
func (l Lifecycle) Input(m *fleet.Member, n spec.Node, trust install.Authorities, revoked time.Time) (install.Input, error) {
	if l.Bundle == nil {
		return install.Input{}, fmt.Errorf("%s: no bundle is configured", m.Title())
	}
	credentials, err := install.Credentials(n, trust, m.Files, l.Now(), revoked)
	if err != nil {
		return install.Input{}, fmt.Errorf("%s: %w", m.Title(), err)
	}
	return install.Input{
		Node: n, Bundle: l.Bundle, Credentials: credentials, Upstreams: install.Upstreams(m.Files), Progress: l.uploadProgress(m),
		Starts: func() { m.Status.Version = l.Bundle.Version },
	}, nil
}

// uploadProgress tells every tenth of the upload.
func (l Lifecycle) uploadProgress(m *fleet.Member) func(sent, total int64) {
	last := int64(-1)
	return func(sent, total int64) {
		if total == 0 || sent*10/total == last {
			return
		}
		last = sent * 10 / total
		l.Events(step.Event{Host: m.Title(), Step: "binaries", State: step.Began, Message: fmt.Sprintf("%d of %d MB sent", sent>>20, total>>20)})
	}
}

// FinishJoin waits for the Node of a host whose processes run, gives it what it should
// have, and marks the host as joined.
func (l Lifecycle) FinishJoin(ctx context.Context, m *fleet.Member, n spec.Node, api kubernetes.Interface) error {
	if err := l.registerAgain(ctx, m, n, api); err != nil {
		return err
	}
	err := l.Wait(m, "wait for the node", func() error {
		err := nodes.WaitReady(ctx, api, n.Host.Name, l.NodeTimeout)
		if err != nil && ctx.Err() == nil {
			err = errors.Join(err, diskFull(ctx, m))
		}
		return err
	})
	if err != nil {
		return err
	}
	last := []step.Step{install.Joined(n)}
	update, err := nodes.Update(ctx, api, n)
	if err != nil {
		return err
	}
	if update != nil {
		last = append([]step.Step{{Name: "update the node", Changes: []step.Change{update}}}, last...)
	}
	return l.Run(ctx, m, last...)
}

// registerAgain has the kubelet of a node that had joined register, when its Node was
// deleted: a kubelet that runs does so only now and then.
func (l Lifecycle) registerAgain(ctx context.Context, m *fleet.Member, n spec.Node, api kubernetes.Interface) error {
	if !HasJoined(m) {
		return nil
	}
	if _, err := api.CoreV1().Nodes().Get(ctx, n.Host.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return nil // who cannot be asked now is asked again, with an error, when it is waited for
	}
	return l.Run(ctx, m, step.Step{Name: "register the node again", Changes: []step.Change{step.Command{
		Name: "restart the kubelet", Command: host.Shell("restart-unit", `systemctl restart "$1"`, config.Kubelet.Unit()),
	}}})
}

// diskFull says that the disk of a host is full, where that can be asked: a container
// runtime that can write nothing is only seen as a node that is not Ready.
func diskFull(ctx context.Context, m *fleet.Member) error {
	_, err := m.Host.Run(ctx, install.AnyRoom())
	var said *host.CommandError
	if errors.As(err, &said) && host.NoSpace(err) {
		return errors.New(strings.TrimSpace(said.Stderr))
	}
	return nil
}

// HasJoined reports whether preflight found that the host had joined to the end.
func HasJoined(m *fleet.Member) bool { return len(m.Files[install.JoinedFile]) > 0 }

// IsNew reports whether preflight found a host that can join and never has.
func IsNew(m *fleet.Member) bool {
	return m != nil && m.Host != nil && m.Refused == nil && !HasJoined(m)
}
