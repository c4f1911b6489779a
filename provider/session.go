package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/bootstrap/step"
)

var unknownOK = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}

// session is the configured provider, as resources see it.
type session struct {
	logins      map[string]ssh.Config // by profile; "" is the block ssh
	bundle      *bundle.Bundle
	parallelism int
	logDir      string
	// incomplete: the provider block has values that are not known yet, of which the
	// bundle may be one.
	incomplete    bool
	bundleUnknown bool
	// adapt, when not nil, changes what engines work with.
	adapt  func(*bootstrap.Config)
	now    func() time.Time
	claims claims
	holdings
	// connections are shared by the operations that go on at a time.
	connections ssh.Connections

	abandonUnreachable bool
	handOn             bool
	nodeTimeout        time.Duration
	// leases are those of the whole process, leaseToken tells it from any other.
	leases       *leases
	leaseToken   string
	leaseTimeout time.Duration

	mu      sync.Mutex
	log     *os.File // JSON lines
	summary *os.File // to read
	lease   *runlock.Keepers
}

// engine returns an engine that tells its progress to Terraform's log and to
// log_dir.
func (s *session) engine(ctx context.Context, drainTimeout time.Duration) *bootstrap.Engine {
	op := operationOf(ctx)
	c := bootstrap.Config{
		AbandonUnreachable: s.abandonUnreachable, HandOn: s.handOn, Bundle: s.bundle, Parallelism: s.parallelism, DrainTimeout: drainTimeout, NodeTimeout: s.nodeTimeout,
		Connect: func(ctx context.Context, h spec.Host) (host.Host, error) { return s.dial(ctx, h, op) },
		Events: func(e step.Event) {
			op.event(e)
			s.event(ctx, e)
		},
	}
	c.RunLock = s.keepers()
	if s.adapt != nil {
		s.adapt(&c)
	}
	return bootstrap.New(c)
}

// dial logs in to a host, over the connection of another operation that is there just
// now: terraform works on ten resources at a time, which go to the same masters.
func (s *session) dial(ctx context.Context, h spec.Host, op *operation) (host.Host, error) {
	login, to, err := s.way(h)
	if err != nil {
		return nil, err
	}
	c, err := s.connections.Dial(ctx, h.SSH.Profile, login, to)
	if err != nil {
		return nil, err
	}
	op.connected(c)
	return c, nil
}

// dialAlone logs in to a host with a connection that nobody shares.
func (s *session) dialAlone(ctx context.Context, h spec.Host) (host.Host, error) {
	login, to, err := s.way(h)
	if err != nil {
		return nil, err
	}
	c, err := ssh.Dial(ctx, login, to)
	if err != nil {
		return nil, err // and no Host that is nil
	}
	return c, nil
}

// way is how a host is logged in to.
func (s *session) way(h spec.Host) (ssh.Config, ssh.Target, error) {
	login, err := s.login(h)
	login.SumsDir = bootstrap.SumsDir
	return login, ssh.Target{Name: h.Name, Address: h.Address, Port: h.SSH.Port, User: h.SSH.User, HostKey: h.SSH.HostKey}, err
}

func (s *session) event(ctx context.Context, e step.Event) {
	fields, what := map[string]any{"step": e.Step, "state": string(e.State)}, fmt.Sprintf("%s %s", e.Step, e.State)
	if e.Host != "" {
		fields["host"], what = e.Host, e.Host+": "+what
	}
	if e.Took > 0 {
		fields["took"] = e.Took.Round(time.Millisecond).String()
	}
	if e.Message != "" {
		fields["message"] = e.Message
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	tflog.Info(ctx, what, fields)
	s.write(ctx, "", fields)
}

// write appends to the log files of this run. A log that cannot be written is no
// reason to leave servers half done.
func (s *session) write(ctx context.Context, summary string, records ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logDir == "" {
		return
	}
	if err := s.openLogs(); err != nil {
		tflog.Warn(ctx, "cannot write to log_dir", map[string]any{"error": err.Error()})
		s.logDir = ""
		return
	}
	var lines []byte
	for _, fields := range records {
		fields["time"] = time.Now().UTC().Format(time.RFC3339Nano)
		line, _ := json.Marshal(fields) // strings and numbers only
		lines = append(append(lines, line...), '\n')
	}
	s.log.Write(lines)             //nolint:errcheck // see above
	s.summary.WriteString(summary) //nolint:errcheck // see above
}

func (s *session) openLogs() error {
	if s.log != nil {
		return nil
	}
	if err := os.MkdirAll(s.logDir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(s.logDir, "gantry-"+time.Now().UTC().Format("20060102-150405"))
	const flags = os.O_CREATE | os.O_APPEND | os.O_WRONLY
	log, err := os.OpenFile(name+".jsonl", flags, 0o600)
	if err != nil {
		return err
	}
	summary, err := os.OpenFile(name+".txt", flags, 0o600)
	if err != nil {
		log.Close() //nolint:errcheck // nothing was written
		return err
	}
	s.log, s.summary = log, summary
	return nil
}

// plannedVersion is what hosts will have: not known as long as the bundle is not.
func (s *session) plannedVersion() types.String {
	if s.bundle == nil {
		return types.StringUnknown()
	}
	return types.StringValue(s.bundle.Version)
}

// needsBundle refuses to plan servers with no bundle: each would seem to change.
func (s *session) needsBundle(diags *diag.Diagnostics) {
	if s.bundle == nil && !s.bundleUnknown {
		diags.AddError("No bundle is configured", "What servers are to have is in the bundle. Give its path as bundle in the provider block, or in the environment's GANTRY_BUNDLE.")
	}
}

// version and digest of the bundle; empty when none is known.
func (s *session) version() (version, digest string) {
	if s == nil || s.bundle == nil {
		return "", ""
	}
	return s.bundle.Version, s.bundle.Digest()
}
