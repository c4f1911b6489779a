package bootstrap

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/lease"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/client"
)

// Config is what an Engine works with.
type Config struct {
	// Connect logs in to a host.
	Connect func(ctx context.Context, h spec.Host) (host.Host, error)
	// Bundle that is installed; nil where nothing is (Destroy, Kubeconfig).
	Bundle *bundle.Bundle
	// Parallelism bounds the hosts worked on at a time (default 10, and of many hosts
	// an eighth of them, up to 64).
	Parallelism int
	// NodeTimeout is how long a node may take to be Ready once its processes run
	// (default 2 min).
	NodeTimeout time.Duration
	// DrainTimeout is how long the pods of a leaving node may take (default 5 min).
	DrainTimeout time.Duration
	// AbandonUnreachable lets a destroy end although hosts cannot be reached: they are
	// left as they are, with a warning.
	AbandonUnreachable bool
	// HandOn has workers take the bundle from a master, where they can.
	HandOn bool
	Events func(step.Event)
	// Lease is held by every operation that changes something; nil is none.
	Lease *lease.Keepers

	// What follows is replaced in tests.
	Now   func() time.Time
	NewID func() string
	Trust func(clusterName string, now time.Time) (install.Authorities, error)
	API   func(client.Options) (kubernetes.Interface, error)
	Store func(endpoint string, ca *pki.Authority, dial join.Dial, now time.Time) (join.Store, error)
}

// Engine creates, changes, observes and destroys clusters and pools.
type Engine struct{ Config }

// New returns an engine. It does nothing yet.
func New(c Config) *Engine {
	if c.NodeTimeout <= 0 {
		c.NodeTimeout = 2 * time.Minute
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = 5 * time.Minute
	}
	if c.Events == nil {
		c.Events = func(step.Event) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = newUUID
	}
	if c.Trust == nil {
		c.Trust = install.NewAuthorities
	}
	if c.API == nil {
		c.API = func(o client.Options) (kubernetes.Interface, error) { return client.New(o) }
	}
	if c.Store == nil {
		c.Store = join.Open
	}
	return &Engine{c}
}

// width is how many of so many hosts are worked on at a time.
func (e *Engine) width(hosts int) int {
	if e.Parallelism > 0 {
		return e.Parallelism
	}
	return min(max(10, hosts/8), 64)
}

// State is how a host stands.
type State string

// The states of a host.
const (
	// Ready: it is what it should be and its Node is Ready.
	Ready State = "ready"
	// Pending: work on it was begun or is still to be done.
	Pending State = "pending"
	// Drifted: it was ready, and something on it was changed, stopped or lost.
	Drifted State = "drifted"
	// Absent: the host answers and nothing of the cluster is on it.
	Absent State = "absent"
	// Unknown: the host could not be asked. Nothing follows from that.
	Unknown State = "unknown"
	// Gone: it was taken out and wiped.
	Gone State = "gone"
)

// Status is what was reached or seen on one host.
type Status struct {
	State State
	// HostKey is the key the host showed; empty when it could not be reached.
	HostKey string
	// Message says why it is not ready, or what differs.
	Message string
	// Err is the failure behind it, if there was one.
	Err error
}

// Report is the outcome of an operation, by host name.
type Report struct {
	ClusterID string
	// CAFingerprint is the SHA-256 of the cluster's CA certificate.
	CAFingerprint string
	Hosts         map[string]Status
	// Warnings are about no host in particular.
	Warnings []string
}

// Failed returns the hosts that are neither Ready nor Gone, as an error each.
func (r Report) Failed() map[string]error {
	out := map[string]error{}
	for name, s := range r.Hosts {
		if s.State == Ready || s.State == Gone {
			continue
		}
		err := s.Err
		if err == nil {
			err = fmt.Errorf("host %s is %s: %s", name, s.State, s.Message)
		}
		out[name] = err
	}
	return out
}
