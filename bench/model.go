package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/provider"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// loginTrips is how many round trips a TCP connection, a handshake and a login take.
const loginTrips = 4

// world is model hosts that take their time, and the API that their kubelets
// register with, which answers at once.
type world struct {
	latency time.Duration
	api     *fake.Clientset

	mu    sync.Mutex
	hosts map[string]*hosttest.Model
}

func newWorld(latency time.Duration) *world {
	return &world{latency: latency, api: fake.NewClientset(), hosts: map[string]*hosttest.Model{}}
}

// adapt has engines work on the model hosts.
func (w *world) adapt(c *bootstrap.Config) {
	c.API = func(client.Options) (kubernetes.Interface, error) { return w.api, nil }
	c.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
		login, err := w.host(h).Login()
		d := delayed{login, w.latency}
		return d, errors.Join(err, d.wait(ctx, loginTrips))
	}
}

func (w *world) host(h spec.Host) *hosttest.Model {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.hosts[h.Name]
	if m == nil {
		m = hosttest.NewModel(h.Name, h.Address)
		m.OnStart = func(unit string) error {
			if unit == config.Kubelet.Unit() {
				return m.Register(context.Background(), w.api, h.Name)
			}
			return nil
		}
		w.hosts[h.Name] = m
	}
	return m
}

// delayed is a host that is far away: each operation takes a round trip.
type delayed struct {
	host.Host
	latency time.Duration
}

// HostKey is what it shows.
func (d delayed) HostKey() string { return "key-of " + d.Name() }

func (d delayed) wait(ctx context.Context, trips int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(trips) * d.latency):
		return nil
	}
}

func (d delayed) Run(ctx context.Context, c host.Command) ([]byte, error) {
	if err := d.wait(ctx, 1); err != nil {
		return nil, err
	}
	return d.Host.Run(ctx, c)
}

func (d delayed) ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error) {
	if err := d.wait(ctx, 1); err != nil {
		return nil, err
	}
	return d.Host.ReadFiles(ctx, paths...)
}

func (d delayed) Stat(ctx context.Context, paths ...string) (map[string]host.FileInfo, error) {
	if err := d.wait(ctx, 1); err != nil {
		return nil, err
	}
	return d.Host.Stat(ctx, paths...)
}

func (d delayed) WriteFiles(ctx context.Context, files ...host.File) error {
	if err := d.wait(ctx, 1); err != nil {
		return err
	}
	return d.Host.WriteFiles(ctx, files...)
}

func (d delayed) Upload(ctx context.Context, path string, r io.Reader, mode fs.FileMode, progress func(int64)) error {
	if err := d.wait(ctx, 2); err != nil { // it asks first what is there
		return err
	}
	return d.Host.Upload(ctx, path, r, mode, progress)
}

func (d delayed) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := d.wait(ctx, 1); err != nil {
		return nil, err
	}
	return d.Host.Dial(ctx, network, address)
}

const modelConfig = `
terraform {
  required_providers { gantry = { source = "registry.terraform.io/gantry-run/gantry" } }
}

variable "workers" { type = number }
variable "bundle" { type = string }

provider "gantry" {
  bundle = var.bundle
  ssh    = { password = "model hosts ask for none" }
}

resource "gantry_cluster" "this" {
  name    = "model"
  network = { pod_cidrs = ["10.128.0.0/9"] }
  masters = { master-1 = { address = "198.18.255.1" } }
}

resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  hosts = { for i in range(var.workers) : format("worker-%04d", i) => { address = format("198.18.%d.%d", floor(i / 250), i % 250 + 1) } }
}
`

// model has terraform plan and apply a cluster of model hosts, with the provider
// in this process.
func (b bench) model(ctx context.Context, tools e2e.Tools, r *report) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := packModelBundle(dir); err != nil {
		return err
	}
	cli := filepath.Join(dir, "cli.tfrc")
	if err := errors.Join(os.WriteFile(cli, []byte("disable_checkpoint = true\n"), 0o600), os.WriteFile(filepath.Join(dir, "main.tf"), []byte(modelConfig), 0o600)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, name := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", "TF_LOG_PROVIDER"} { // it has no terraform to log to
		if err := os.Setenv(name, "OFF"); err != nil {
			return err
		}
	}
	w := newWorld(b.latency)
	env, ended, err := provider.Simulate(ctx, "0.0.0-model", w.adapt)
	if err != nil {
		return err
	}
	terraform := func(workers int, args ...string) error {
		cmd := exec.CommandContext(ctx, tools.Terraform, append(args, "-input=false", "-no-color")...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env, "TF_CLI_CONFIG_FILE="+cli,
			fmt.Sprintf("TF_VAR_workers=%d", workers), "TF_VAR_bundle="+filepath.Join(dir, "bundle.tar.zst"))
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("Warning:")) {
			return fmt.Errorf("terraform %s: %w\n%s", strings.Join(args, " "), errors.Join(err, errors.New("a warning or an error")), out)
		}
		return nil
	}
	if err := terraform(b.modelHosts, "init"); err != nil {
		return err
	}
	peaks := ""
	for _, s := range []struct {
		what    string
		workers int
		args    []string
	}{
		{"plan of a create", b.modelHosts, []string{"plan"}},
		{"create (terraform apply)", b.modelHosts, []string{"apply", "-auto-approve"}},
		{"no-change plan", b.modelHosts, []string{"plan", "-detailed-exitcode"}}, // 2: there is a change
		{"adding one (terraform apply)", b.modelHosts + 1, []string{"apply", "-auto-approve"}},
	} {
		runtime.GC()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil { // the peak so far
			return err
		}
		start := time.Now()
		if err := terraform(s.workers, s.args...); err != nil {
			return err
		}
		what := fmt.Sprintf("%d model hosts, %s per operation: %s", b.modelHosts, b.latency, s.what)
		r.time(what, time.Since(start))
		peak, err := peakMemory()
		if err != nil {
			return err
		}
		peaks += fmt.Sprintf("| %s | %.0f MiB |\n", what, peak)
	}
	if n := len(w.hosts); n != b.modelHosts+2 { // the one that was added, and the master
		return fmt.Errorf("%d model hosts were worked on", n)
	}
	with := heap()
	w.api, w.hosts = nil, nil
	r.modelRows = append(r.modelRows, strings.TrimSpace(peaks), fmt.Sprintf("| of that, the model hosts and their API themselves | %.0f MiB |", with-heap()))
	cancel()
	<-ended //nolint:errcheck // it was told to end
	return nil
}

// packModelBundle packs programs that are only names: model hosts keep their files
// in memory, and what is sent does not count here.
func packModelBundle(dir string) error {
	programs := filepath.Join(dir, "programs")
	if err := os.Mkdir(programs, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"gantry", "containerd", "runc", archive.UnpackerName} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("program "+name), 0o755); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if _, err := archive.Pack(&b, programs, archive.Manifest{Version: "0.0.0-model", Platform: "linux/amd64"}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bundle.tar.zst"), b.Bytes(), 0o600)
}

// peakMemory is the most that this process has held since its peak was reset, in MiB.
func peakMemory() (float64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	var kib float64
	_, rest, found := strings.Cut(string(data), "VmHWM:")
	if !found {
		return 0, errors.New("/proc/self/status tells no VmHWM")
	}
	_, err = fmt.Sscan(rest, &kib)
	return kib / 1024, err
}

// heap is what lives on the heap, in MiB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}
