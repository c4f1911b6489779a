package bootstrap

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/controlplane"
	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/bootstrap/workers"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
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
	// RunLock is held by every operation that changes something; nil is none.
	RunLock *runlock.Keepers

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
		c.NewID = func() string { return string(uuid.NewUUID()) }
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

// access is what clusters are reached with.
func (c Config) access() access.Config {
	return access.Config{
		Config: fleet.Config{Connect: c.Connect, Parallelism: c.Parallelism, Events: c.Events, Now: c.Now},
		API:    c.API, Store: c.Store,
	}
}

func (c Config) lifecycle() machine.Lifecycle {
	return machine.Lifecycle{Config: c.access(), Bundle: c.Bundle, NodeTimeout: c.NodeTimeout, DrainTimeout: c.DrainTimeout}
}

func (c Config) controlplane() controlplane.Config {
	return controlplane.Config{Lifecycle: c.lifecycle(), NewID: c.NewID, NewAuthorities: c.Trust, NewEncryptionKey: encryption.NewKey, AbandonUnreachable: c.AbandonUnreachable}
}

func (c Config) workers() workers.Config {
	return workers.Config{Lifecycle: c.lifecycle(), HandOn: c.HandOn, AbandonUnreachable: c.AbandonUnreachable}
}

// State, Status and Report are how hosts stand; see package fleet.
type (
	State  = fleet.State
	Status = fleet.Status
	Report = fleet.Report
)

// The states of a host.
const (
	Ready   = fleet.Ready
	Pending = fleet.Pending
	Drifted = fleet.Drifted
	Absent  = fleet.Absent
	Unknown = fleet.Unknown
	Gone    = fleet.Gone
)

// ClusterChange and PoolChange say which hosts an update is about.
type (
	ClusterChange = controlplane.Change
	PoolChange    = workers.Change
)

const (
	// DrainStep is the step that fails where a leaving node's pods could not be moved.
	DrainStep = machine.DrainStep
	// AdminGroup is the group whose members may do everything.
	AdminGroup = config.MastersGroup
	// SumsDir is where hosts may keep the SHA-256 of what is installed; a wipe takes it.
	SumsDir = config.SumsDir
)
