package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/lease"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/bootstrap/step"
)

var unknownOK = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}

// session is the configured provider, as resources see it.
type session struct {
	ssh         ssh.Config
	bundle      *bundle.Bundle
	parallelism int
	logDir      string
	// incomplete: the provider block has values that are not known yet.
	incomplete bool
	// connect replaces SSH in tests.
	connect func(ctx context.Context, h spec.Host) (host.Host, error)

	abandonUnreachable bool
	// leases are those of the whole process, leaseToken tells it from any other.
	leases       *leases
	leaseToken   string
	leaseTimeout time.Duration

	mu    sync.Mutex
	log   *os.File
	lease *lease.Keeper
}

// dial is how hosts are logged in to.
func (s *session) dial() func(ctx context.Context, h spec.Host) (host.Host, error) {
	if s.connect != nil {
		return s.connect
	}
	login := s.ssh
	login.SumsDir = bootstrap.SumsDir
	return func(ctx context.Context, h spec.Host) (host.Host, error) {
		return ssh.Dial(ctx, login, ssh.Target{Name: h.Name, Address: h.Address, Port: h.SSH.Port, User: h.SSH.User, HostKey: h.SSH.HostKey})
	}
}

// engine returns an engine that tells its progress to Terraform's log and to
// log_dir.
func (s *session) engine(ctx context.Context, drainTimeout time.Duration) *bootstrap.Engine {
	return bootstrap.New(bootstrap.Config{
		Connect: s.dial(), Lease: s.keeper(), Bundle: s.bundle, Parallelism: s.parallelism, DrainTimeout: drainTimeout,
		AbandonUnreachable: s.abandonUnreachable,
		Events:             func(e step.Event) { s.event(ctx, e) },
	})
}

func (s *session) event(ctx context.Context, e step.Event) {
	fields := map[string]any{"host": e.Host, "step": e.Step, "state": string(e.State)}
	if e.Took > 0 {
		fields["took"] = e.Took.Round(time.Millisecond).String()
	}
	if e.Message != "" {
		fields["message"] = e.Message
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	tflog.Info(ctx, fmt.Sprintf("%s: %s %s", e.Host, e.Step, e.State), fields)
	fields["time"] = time.Now().UTC().Format(time.RFC3339Nano)
	s.write(ctx, fields)
}

// write appends to the log file of this run. A log that cannot be written is no
// reason to leave servers half done.
func (s *session) write(ctx context.Context, fields map[string]any) {
	if s.logDir == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		name := filepath.Join(s.logDir, "gantry-"+time.Now().UTC().Format("20060102-150405")+".jsonl")
		err := os.MkdirAll(s.logDir, 0o755)
		if err == nil {
			s.log, err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		}
		if err != nil {
			tflog.Warn(ctx, "cannot write to log_dir", map[string]any{"error": err.Error()})
			s.logDir = ""
			return
		}
	}
	line, _ := json.Marshal(fields) // strings only
	s.log.Write(append(line, '\n')) //nolint:errcheck // see above
}

// version and digest of the bundle; empty when none is configured.
func (s *session) version() (version, digest string) {
	if s == nil || s.bundle == nil {
		return "", ""
	}
	return s.bundle.Version, s.bundle.Digest()
}
