package provider

import (
	"context"
	"time"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/provider/login"
	"github.com/gantry-run/gantry/provider/runlog"
)

// connect logs in to a host.
type connect = func(context.Context, spec.Host) (host.Host, error)

// engines makes engines that work as the provider block says.
type engines struct {
	config bootstrap.Config // what all have in common
	logins login.Profiles
	log    *runlog.Log
	// connections are shared by the operations that go on at a time.
	connections ssh.Connections
	adapt       func(*bootstrap.Config)
}

// newEngines takes what all engines have in common. Locks makes the run locks of the
// clusters, for which it logs in to masters itself; adapt, where it is not nil, has the
// last word on what an engine works with.
func newEngines(c bootstrap.Config, logins login.Profiles, log *runlog.Log, locks func(connect) *runlock.Keepers, adapt func(*bootstrap.Config)) *engines {
	e := &engines{config: c, logins: logins, log: log, adapt: adapt}
	alone := bootstrap.Config{Connect: e.dialAlone}
	if adapt != nil {
		adapt(&alone)
	}
	e.config.RunLock = locks(alone.Connect)
	return e
}

// engine returns an engine that tells its progress to the operation of the context.
// A drain timeout of 0 is the engine's default.
func (e *engines) engine(ctx context.Context, drainTimeout time.Duration) *bootstrap.Engine {
	c := e.config
	c.DrainTimeout = drainTimeout
	c.Events = func(event step.Event) { e.log.Event(ctx, event) }
	operation := ctx
	c.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
		conn, err := e.dial(ctx, h)
		if err != nil {
			return nil, err
		}
		runlog.Connected(operation, conn)
		return conn, nil
	}
	if e.adapt != nil {
		e.adapt(&c)
	}
	return bootstrap.New(c)
}

// dial logs in to a host, over the connection of another operation that is there just
// now: terraform works on ten resources at a time, which go to the same masters.
func (e *engines) dial(ctx context.Context, h spec.Host) (host.Host, error) {
	config, target, err := e.target(h)
	if err != nil {
		return nil, err
	}
	conn, err := e.connections.Dial(ctx, h.SSH.Profile, config, target)
	if err != nil {
		return nil, err // and no Host that is a nil *ssh.Host
	}
	return conn, nil
}

// dialAlone logs in to a host with a connection that nobody shares: the renewal of a
// lock must not wait for an upload.
func (e *engines) dialAlone(ctx context.Context, h spec.Host) (host.Host, error) {
	config, target, err := e.target(h)
	if err != nil {
		return nil, err
	}
	conn, err := ssh.Dial(ctx, config, target)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// target is how and where a host is logged in to.
func (e *engines) target(h spec.Host) (ssh.Config, ssh.Target, error) {
	config, err := e.logins.Of(h)
	config.SumsDir = bootstrap.SumsDir
	return config, ssh.Target{Name: h.Name, Address: h.Address, Port: h.SSH.Port, User: h.SSH.User, HostKey: h.SSH.HostKey}, err
}

// begin begins an operation of that title in log_dir: engines that are made with the
// context that it returns are part of it.
func (e *engines) begin(ctx context.Context, title string) (_ context.Context, end func()) {
	return e.log.Begin(ctx, title)
}
