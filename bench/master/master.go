package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// startTime bounds how long a process may take to be ready.
	startTime = 30 * time.Second
	// stopTime is how long a process has to drain before it is killed.
	stopTime = 15 * time.Second
)

// Master is the processes of one master on the loopback address. Those that are
// not started are not there.
type Master struct {
	binary, dir string
	profile     bool
	credentials credentials
	ports       map[string]int
	running     map[config.Component]*Process
}

// Process is a running process.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	// Start is the time from its start to systemd's being told that it is ready.
	Start time.Duration
}

// New makes credentials and configurations below dir, an empty directory. binary
// is gantry. With profile the processes serve Go's profiles.
func New(binary, dir string, profile bool) (*Master, error) {
	m := &Master{binary: binary, dir: dir, profile: profile, ports: map[string]int{}, running: map[config.Component]*Process{}}
	for _, name := range []string{"etcd-clients", "etcd-peers", "api", "upstream", string(config.Etcd), string(config.ControllerManager), string(config.Scheduler)} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // once all are chosen, so that none is chosen twice
		m.ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	var err error
	if m.credentials, err = makeCredentials(dir); err != nil {
		return nil, err
	}
	for c, cfg := range m.configurations() {
		if err := m.configure(c, cfg); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Master) configure(c config.Component, cfg config.Completer) error {
	if err := cfg.Complete(); err != nil {
		return fmt.Errorf("configuration of %s: %w", c, err)
	}
	data, err := config.Marshal(cfg)
	if err != nil {
		return err
	}
	return os.WriteFile(m.file(c, "yaml"), data, 0o600)
}

// Configure changes the configuration with which the API server starts next from what
// it is without.
func (m *Master) Configure(change func(*config.APIServerConfig)) error {
	cfg := m.configurations()[config.APIServer].(*config.APIServerConfig)
	change(cfg)
	return m.configure(config.APIServer, cfg)
}

func (m *Master) file(c config.Component, extension string) string {
	return filepath.Join(m.dir, string(c)+"."+extension)
}

// Start runs processes one after another, each once the one before is ready.
func (m *Master) Start(ctx context.Context, components ...config.Component) error {
	for _, c := range components {
		p, err := m.start(ctx, c)
		if err != nil {
			return fmt.Errorf("start %s: %w", c, err)
		}
		m.running[c] = p
	}
	return nil
}

// start stands in for systemd: it waits for the notification that units of
// Type=notify send.
func (m *Master) start(ctx context.Context, c config.Component) (*Process, error) {
	notify := &net.UnixAddr{Name: m.file(c, "notify"), Net: "unixgram"}
	os.Remove(notify.Name)
	socket, err := net.ListenUnixgram("unixgram", notify)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	log, err := os.Create(m.file(c, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &Process{cmd: exec.Command(m.binary, string(c), "--config", m.file(c, "yaml")), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify.Name)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A benchmark that is killed leaves nothing running.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.cmd.Wait(); close(p.ended) }() //nolint:errcheck // how it ended is in its log
	if err := p.awaitReady(ctx, socket); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w (log: %s)", err, tail(log.Name()))
	}
	p.Start = time.Since(start)
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, socket *net.UnixConn) error {
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return errors.New("it ended")
		default:
		}
		if err := socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return err
		}
		if n, err := socket.Read(buf); err == nil && string(buf[:n]) == "READY=1" {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s", startTime)
}

func tail(path string) string {
	data, _ := os.ReadFile(path)
	return string(data[max(0, len(data)-2000):])
}

// Process returns a process that was started.
func (m *Master) Process(c config.Component) *Process { return m.running[c] }

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

func (p *Process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.cmd.Process.Kill() //nolint:errcheck // as above
		<-p.ended
	}
}

// Stop ends processes that were started, all of them when none is named.
func (m *Master) Stop(components ...config.Component) {
	if len(components) == 0 {
		components = []config.Component{upstreamName, config.Scheduler, config.ControllerManager, config.APIServer, config.Etcd}
	}
	for _, c := range components {
		if p := m.running[c]; p != nil {
			p.stop()
			delete(m.running, c)
		}
	}
}

// Who comes to the API server besides its administrator. Users have no rights but what
// the administrator gives them.
const (
	Tenant    = "tenant"
	Neighbour = "neighbour"
	Node      = "w1"
)

// Client is a new client of an administrator, with connections of its own.
func (m *Master) Client() (*client.Client, error) { return m.client(m.credentials.admin) }

// ClientOf is one of [Tenant], [Neighbour] or [Node].
func (m *Master) ClientOf(who string) (*client.Client, error) {
	return m.client(map[string]config.KeyPair{Tenant: m.credentials.tenant, Neighbour: m.credentials.neighbour, Node: m.credentials.node}[who])
}

func (m *Master) client(as config.KeyPair) (*client.Client, error) {
	o, err := client.FromConfig(m.apiClient(as), "gantry-bench")
	if err != nil {
		return nil, err
	}
	return client.New(o)
}

// WithToken is the configuration of a client that has a token and no certificate.
func (m *Master) WithToken(token string) *rest.Config {
	return &rest.Config{
		Host: "https://" + m.address("api"), BearerToken: token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: m.credentials.ca, ServerName: config.APIServerName},
	}
}
