//go:build acceptance

package provider

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestMain finds the terraform that the tests drive. Without one they fail: a
// test that is passed over proves nothing.
func TestMain(m *testing.M) {
	names := []string{"terraform", "tofu", "../bin/tofu"}
	if named := os.Getenv("TF_ACC_TERRAFORM_PATH"); named != "" {
		names = []string{named} // or nothing: who names one wants no other
	}
	for _, name := range names {
		file, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if file, err = filepath.Abs(file); err != nil {
			continue
		}
		os.Setenv("TF_ACC_TERRAFORM_PATH", file)
		if strings.Contains(filepath.Base(file), "tofu") {
			os.Setenv("TF_ACC_PROVIDER_HOST", "registry.opentofu.org")
		}
		os.Setenv("CHECKPOINT_DISABLE", "1")
		// Not the person's own, which may name other providers; OpenTofu warns of one
		// that does not exist, and then its version is not understood.
		os.Setenv("TF_CLI_CONFIG_FILE", os.DevNull)
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, "none of", names, "is here: make tofu builds one")
	os.Exit(1)
}

// world is model servers around a fake API, and a provider that reaches no others.
type world struct {
	t      *testing.T
	api    *fake.Clientset
	bundle string
	// nodeTimeout is how long a node may take to be Ready, drainTimeout how long the pods
	// of a leaving one may.
	nodeTimeout, drainTimeout time.Duration

	mu      sync.Mutex
	servers map[string]*hosttest.Model // by address
	names   map[string]string          // by address: what each was last called
	down    map[string]bool            // addresses that do not answer
	later   time.Duration              // how far the provider's clock is ahead
}

// newWorld has bare servers at 192.0.2.1, 192.0.2.2 and so on.
func newWorld(t *testing.T, servers int) *world {
	t.Helper()
	w := &world{t: t, api: fake.NewClientset(), bundle: packBundle(t, "linux/amd64"), nodeTimeout: patience.Limit, drainTimeout: patience.Limit, servers: map[string]*hosttest.Model{}, names: map[string]string{}, down: map[string]bool{}}
	for i := range servers {
		w.install(fmt.Sprintf("server-%d", i+1), fmt.Sprintf("192.0.2.%d", i+1))
	}
	return w
}

// install puts a bare server at an address, instead of what is there. Its host key
// follows from its title.
func (w *world) install(title, address string) {
	m := hosttest.NewModel(title, address)
	m.OnStart = func(unit string) error {
		if unit == config.Kubelet.Unit() {
			w.mu.Lock()
			defer w.mu.Unlock()
			return m.Register(context.Background(), w.api, w.names[address])
		}
		return nil
	}
	m.Peer = func(address string) *hosttest.Model { return w.servers[address] }
	w.servers[address] = m
}

func packBundle(t *testing.T, platform string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gantry", "containerd", "runc", archive.UnpackerName} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("program "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := archive.Pack(&b, dir, archive.Manifest{Version: "1.2.3", Platform: platform}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle.tar.zst")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// keyed is a server with a host key.
type keyed struct {
	host.Host
	key string
}

func (k keyed) HostKey() string { return k.key }

// keyOf is the host key of the server that is at an address first.
func keyOf(address string) string {
	return keyOfServer("server-" + address[strings.LastIndex(address, ".")+1:])
}

func keyOfServer(title string) string {
	return "ssh-ed25519 AAAA" + strings.ReplaceAll(title, "-", "")
}

func (w *world) connect(_ context.Context, h spec.Host) (host.Host, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.servers[h.Address]
	if m == nil || w.down[h.Address] {
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name + " (" + h.Address + ")", Doing: "log in", Err: errors.New("no route to host")}
	}
	w.names[h.Address] = h.Name
	login, err := m.Login()
	return keyed{login, keyOfServer(m.Title)}, err
}

// member is the one member of the model's store.
type member struct{ join.Store }

func (member) Close() error { return nil }
func (member) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	return &clientv3.MemberListResponse{Members: []*etcdserverpb.Member{{ID: 7, Name: "m1", PeerURLs: []string{"https://192.0.2.1:2380"}, ClientURLs: []string{"https://192.0.2.1:2379"}}}}, nil
}
func (member) Status(context.Context, string) (*clientv3.StatusResponse, error) {
	return &clientv3.StatusResponse{Leader: 7, DbSize: 4096}, nil
}

// provider is the plugin in this process.
func (w *world) provider() (tfprotov6.ProviderServer, error) {
	p := New("test")().(*Provider)
	p.now = func() time.Time { return time.Now().Add(w.later) }
	p.adapt = func(c *bootstrap.Config) {
		c.Connect = w.connect
		c.NodeTimeout, c.DrainTimeout = w.nodeTimeout, w.drainTimeout
		c.API = func(client.Options) (kubernetes.Interface, error) { return w.api, nil }
		c.Store = func(string, *pki.Authority, join.Dial, time.Time) (join.Store, error) { return member{}, nil }
	}
	return providerserver.NewProtocol6WithError(p)()
}

func (w *world) factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"gantry": w.provider}
}

// block is the provider block.
func (w *world) block() string {
	return fmt.Sprintf("provider \"gantry\" {\n  bundle = %q\n}\n", w.bundle)
}

// bare fails the test where anything of a cluster is on any server.
func (w *world) bare() error {
	var errs []error
	for _, m := range w.servers {
		if left := append(m.Paths(), m.Running()...); len(left) > 0 {
			errs = append(errs, fmt.Errorf("%s is not bare: %v", m.Title, left))
		}
	}
	return errors.Join(errs...)
}

// workspace is a directory in which terraform is run again and again.
type workspace struct {
	*world
	dir string
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) workspace() workspace { return workspace{w, w.t.TempDir()} }

// write replaces the configuration.
func (w workspace) write(hcl string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(hcl), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// do runs terraform, which must succeed and say what is wanted.
func (w workspace) do(wants []string, args ...string) string {
	w.t.Helper()
	out, err := runIn(w.t, w.dir, w.provider, append(args, "-no-color", "-input=false")...)
	if err != nil {
		w.t.Fatalf("%v: %v: %s", args, err, out)
	}
	for _, want := range wants {
		if !strings.Contains(out, want) {
			w.t.Errorf("%v does not say %q: %s", args, want, out)
		}
	}
	return out
}

// refused runs terraform, which must fail and say why.
func (w workspace) refused(want string, args ...string) {
	w.t.Helper()
	out, err := runIn(w.t, w.dir, w.provider, append(args, "-no-color", "-input=false")...)
	if err == nil || !strings.Contains(out, want) {
		w.t.Errorf("%v: %v, and does not say %q: %s", args, err, want, out)
	}
}

// runTerraform runs terraform itself on a configuration, with the provider in this
// process, and returns all that it printed, on one line, as a person reads it.
func runTerraform(t *testing.T, server func() (tfprotov6.ProviderServer, error), hcl string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	return runIn(t, dir, server, args...)
}

// runIn does so in a directory, whose state it keeps.
func runIn(t *testing.T, dir string, server func() (tfprotov6.ProviderServer, error), args ...string) (string, error) {
	t.Helper()
	// By the name that is taken where a configuration gives none, and by its own.
	reattach, stop := serve(t, server, unnamed(), named)
	defer stop()
	if out, err := runCLI(t, dir, []string{reattach}, "init", "-no-color", "-input=false"); err != nil {
		return out, err
	}
	return runCLI(t, dir, []string{reattach}, args...)
}

// named is the provider's name in a configuration that gives one.
const named = "registry.terraform.io/gantry-run/gantry"

// unnamed is what the CLI takes where a configuration gives none.
func unnamed() string {
	return cmp.Or(os.Getenv("TF_ACC_PROVIDER_HOST"), "registry.terraform.io") + "/hashicorp/gantry"
}

// serve runs the provider in this process until it is stopped; by the environment
// variable that is returned the CLI takes it for the provider of these names.
func serve(t *testing.T, server func() (tfprotov6.ProviderServer, error), names ...string) (string, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reattach, closed := make(chan *plugin.ReattachConfig), make(chan struct{})
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	go tf6server.Serve(names[0], func() tfprotov6.ProviderServer { return s }, tf6server.WithDebug(ctx, reattach, closed), //nolint:errcheck // seen as no answer
		tf6server.WithGoPluginLogger(hclog.NewNullLogger()), tf6server.WithLoggingSink(t), tf6server.WithoutLogStderrOverride())
	stop := func() { cancel(); <-closed }
	to := <-reattach
	ways := map[string]any{}
	for _, name := range names {
		ways[name] = map[string]any{
			"Protocol": string(to.Protocol), "ProtocolVersion": to.ProtocolVersion, "Pid": to.Pid, "Test": true,
			"Addr": map[string]string{"Network": to.Addr.Network(), "String": to.Addr.String()},
		}
	}
	env, err := json.Marshal(ways)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	return "TF_REATTACH_PROVIDERS=" + string(env), stop
}

// runCLI runs a command of terraform in a directory, and returns what it printed, plainly.
func runCLI(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	data, err := cmd.CombinedOutput()
	return plain(string(data)), err
}

// plain undoes the wrapping and framing of diagnostics.
func plain(s string) string {
	s = strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(s)
	return strings.Join(strings.Fields(s), " ")
}
