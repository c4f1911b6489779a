package gantry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gantry-run/gantry/"

// arrows says, for a package and those below it, which of our other packages it
// may import: a name stands for the package and all below it. The longest name
// that fits decides. Everything below a row's own name is free to it.
var arrows = map[string][]string{
	"provider": {"bootstrap", "runtime/addr"},
	// What the provider is wired from knows no schema.
	"provider/model":     {"bootstrap", "provider/diagnose", "runtime/addr"},
	"provider/plan":      {"bootstrap", "provider/model"},
	"provider/diagnose":  {"bootstrap"},
	"provider/login":     {"bootstrap/spec", "bootstrap/ssh", "provider/model"},
	"provider/inventory": {"bootstrap/spec"},
	"provider/runlog":    {"bootstrap/host", "bootstrap/step", "provider/diagnose"},

	"bootstrap": {"runtime/addr", "runtime/config", "runtime/client"},

	// bootstrap, from what knows nobody to the phases of operations.
	"bootstrap/spec":         {"runtime/addr"},
	"bootstrap/host":         {},
	"bootstrap/drain":        {},
	"bootstrap/pki":          {"runtime/config"},
	"bootstrap/ssh":          {"bootstrap/host"},
	"bootstrap/hosttest":     {"bootstrap/bundle", "bootstrap/host", "runtime/config"},
	"bootstrap/step":         {"bootstrap/host"},
	"bootstrap/bundle":       {"bootstrap/host", "bootstrap/step", "runtime/config"},
	"bootstrap/install":      {"bootstrap/bundle", "bootstrap/encryption", "bootstrap/host", "bootstrap/pki", "bootstrap/spec", "bootstrap/step", "runtime/addr", "runtime/config"},
	"bootstrap/wipe":         {"bootstrap/host", "bootstrap/install", "bootstrap/step", "runtime/config"},
	"bootstrap/preflight":    {"bootstrap/host", "bootstrap/install", "bootstrap/spec", "runtime/addr", "runtime/config"},
	"bootstrap/runlock":      {"bootstrap/host", "bootstrap/spec"},
	"bootstrap/join":         {"bootstrap/host", "bootstrap/pki", "bootstrap/step", "runtime/config"},
	"bootstrap/encryption":   {"bootstrap/step"},
	"bootstrap/nodes":        {"bootstrap/drain", "bootstrap/host", "bootstrap/pki", "bootstrap/spec", "bootstrap/step", "runtime/config"},
	"bootstrap/fleet":        {"bootstrap/host", "bootstrap/spec", "bootstrap/step"},
	"bootstrap/access":       {"bootstrap/fleet", "bootstrap/host", "bootstrap/install", "bootstrap/join", "bootstrap/pki", "bootstrap/spec", "bootstrap/step", "runtime/client", "runtime/config"},
	"bootstrap/machine":      {"bootstrap/access", "bootstrap/bundle", "bootstrap/drain", "bootstrap/encryption", "bootstrap/fleet", "bootstrap/host", "bootstrap/install", "bootstrap/nodes", "bootstrap/pki", "bootstrap/preflight", "bootstrap/spec", "bootstrap/step", "bootstrap/wipe", "runtime/config"},
	"bootstrap/controlplane": {"bootstrap/access", "bootstrap/encryption", "bootstrap/fleet", "bootstrap/install", "bootstrap/join", "bootstrap/machine", "bootstrap/nodes", "bootstrap/pki", "bootstrap/spec", "bootstrap/step", "bootstrap/wipe", "runtime/config"},
	"bootstrap/workers":      {"bootstrap/access", "bootstrap/bundle", "bootstrap/fleet", "bootstrap/host", "bootstrap/install", "bootstrap/machine", "bootstrap/nodes", "bootstrap/pki", "bootstrap/spec", "bootstrap/step", "runtime/config"},

	"runtime/addr":    {},
	"runtime/durable": {},
	"runtime/config":  {"runtime/addr"},
	"runtime/keypair": {"runtime/config"},
	"runtime/renewal": {"runtime/config", "runtime/durable", "runtime/keypair"},
	"runtime/client":  {"runtime/config", "runtime/keypair"},
	"runtime/process": {"runtime/access", "runtime/config", "runtime/keypair"},
	"runtime/pod":     {},
	"runtime/quota":   {"runtime/pod"},
	"runtime/access":  {},
	// How a component says whether it is ready; the rest of process is around components.
	"runtime/process/readiness": {},

	"runtime/etcd":               {"runtime/config", "runtime/durable"},
	"runtime/snapshot":           {"runtime/config", "runtime/etcd"},
	"runtime/apiserver":          {"runtime/addr", "runtime/config", "runtime/client", "runtime/keypair", "runtime/pod", "runtime/quota"},
	"runtime/apiserver/manifest": {"runtime/apiserver/admission", "runtime/apiserver/kinds/core", "runtime/apiserver/kinds/kind"},
	"runtime/apiserver/kinds":    {"runtime/pod"},
	// Groups of kinds import what all share, and core for pod templates and events.
	"runtime/apiserver/kinds/kind":     {},
	"runtime/apiserver/kinds/meta":     {},
	"runtime/apiserver/kinds/validate": {"runtime/pod"},
	"runtime/apiserver/kinds/printers": {},
	"runtime/apiserver/kinds/kindtest": {"runtime/apiserver/kinds/kind"},
	"runtime/apiserver/kinds/core":     {"runtime/apiserver/kinds/kind", "runtime/apiserver/kinds/meta", "runtime/apiserver/kinds/validate", "runtime/apiserver/kinds/printers", "runtime/pod"},
	// What the chain and the listener of the API server are made of, which knows no kinds.
	"runtime/apiserver/audit":          {"runtime/config"},
	"runtime/apiserver/authentication": {},
	"runtime/apiserver/filters":        {},
	"runtime/apiserver/listener":       {},
	"runtime/apiserver/flowcontrol":    {"runtime/config"},
	// The test server joins a store and an API server for other packages' tests.
	"runtime/apiserver/apitest": {"internal/patience", "internal/ports", "runtime/addr", "runtime/etcd", "runtime/apiserver", "runtime/config", "runtime/client"},
	"runtime/apiserver/fuzz":    {},
	"runtime/scheduler":         {"runtime/config", "runtime/client", "runtime/pod", "runtime/process/readiness"},
	"runtime/scheduler/core":    {"runtime/pod"},
	"runtime/controller":        {"runtime/config", "runtime/client", "runtime/pod", "runtime/process/readiness"},
	// It signs as the masters' renewal does.
	"runtime/controller/certificaterenewal": {"runtime/client", "runtime/config", "runtime/controller/internal", "runtime/renewal"},
	"runtime/controller/internal":           {"runtime/client", "runtime/config", "runtime/pod"},
	// What objects cost is said once, for the API server and for the controller.
	"runtime/controller/resourcequota": {"runtime/client", "runtime/controller/internal", "runtime/quota"},
	"runtime/kubelet":                  {"runtime/access", "runtime/addr", "runtime/config", "runtime/client", "runtime/pod"},
	"runtime/network":                  {"runtime/addr", "runtime/config", "runtime/client", "runtime/process/readiness"},
	"runtime/netpol":                   {"runtime/config", "runtime/client", "runtime/process/readiness"},
	"runtime/proxy":                    {"runtime/addr", "runtime/config", "runtime/client", "runtime/process/readiness"},
	"runtime/dns":                      {"runtime/addr", "runtime/config", "runtime/client", "runtime/process/readiness"},

	// The rooms of the kubelet.
	"runtime/kubelet/admit":          {"runtime/pod"},
	"runtime/kubelet/allocation":     {"runtime/kubelet/poddir", "runtime/pod"},
	"runtime/kubelet/cm":             {"runtime/kubelet/container", "runtime/pod"},
	"runtime/kubelet/container":      {},
	"runtime/kubelet/containerd":     {"runtime/config", "runtime/kubelet/cm", "runtime/kubelet/container", "runtime/kubelet/podlog"},
	"runtime/kubelet/containerspec":  {"runtime/kubelet/container", "runtime/kubelet/fieldpath", "runtime/kubelet/mount", "runtime/kubelet/poddir", "runtime/kubelet/podfiles", "runtime/pod"},
	"runtime/kubelet/containertest":  {"runtime/kubelet/container"},
	"runtime/kubelet/csi":            {"runtime/durable", "runtime/kubelet/poddir", "runtime/pod"},
	"runtime/kubelet/devices":        {"runtime/durable", "runtime/kubelet/admit", "runtime/kubelet/container", "runtime/kubelet/poddir", "runtime/pod"},
	"runtime/kubelet/dra":            {"runtime/durable", "runtime/kubelet/container"},
	"runtime/kubelet/eviction":       {"runtime/kubelet/admit", "runtime/kubelet/status", "runtime/pod"},
	"runtime/kubelet/fieldpath":      {"runtime/pod"},
	"runtime/kubelet/hostclean":      {"runtime/kubelet/cm", "runtime/kubelet/mount"},
	"runtime/kubelet/images":         {"runtime/durable", "runtime/kubelet/container"},
	"runtime/kubelet/lifecycle":      {"runtime/kubelet/probe"},
	"runtime/kubelet/localvolume":    {"runtime/client", "runtime/config"},
	"runtime/kubelet/mount":          {},
	"runtime/kubelet/nodestatus":     {"runtime/addr", "runtime/client", "runtime/kubelet/container", "runtime/kubelet/stats", "runtime/pod"},
	"runtime/kubelet/objects":        {},
	"runtime/kubelet/pleg":           {"runtime/kubelet/container"},
	"runtime/kubelet/plugins":        {},
	"runtime/kubelet/podcertificate": {},
	"runtime/kubelet/poddir":         {"runtime/kubelet/container"},
	"runtime/kubelet/podfiles":       {"runtime/kubelet/poddir"},
	"runtime/kubelet/podlog":         {},
	"runtime/kubelet/podsource":      {"runtime/client", "runtime/pod"},
	"runtime/kubelet/podworker":      {"runtime/addr", "runtime/kubelet/admit", "runtime/kubelet/allocation", "runtime/kubelet/container", "runtime/kubelet/containerspec", "runtime/kubelet/images", "runtime/kubelet/poddir", "runtime/kubelet/podlog", "runtime/kubelet/podworker/plan", "runtime/kubelet/probe", "runtime/kubelet/status", "runtime/pod"},
	"runtime/kubelet/podworker/plan": {"runtime/kubelet/container", "runtime/pod"},
	"runtime/kubelet/probe":          {"runtime/kubelet/container"},
	"runtime/kubelet/prober":         {"runtime/kubelet/container", "runtime/kubelet/probe"},
	"runtime/kubelet/runtimeclass":   {"runtime/durable", "runtime/kubelet/poddir"},
	"runtime/kubelet/sandbox":        {"runtime/kubelet/container"},
	"runtime/kubelet/server":         {"runtime/access", "runtime/config", "runtime/keypair", "runtime/kubelet/container", "runtime/kubelet/podlog", "runtime/kubelet/stats", "runtime/pod"},
	"runtime/kubelet/stats":          {"runtime/kubelet/cm", "runtime/kubelet/container", "runtime/kubelet/poddir"},
	"runtime/kubelet/status":         {"runtime/addr", "runtime/kubelet/container", "runtime/kubelet/podworker/plan", "runtime/pod"},
	"runtime/kubelet/token":          {},
	"runtime/kubelet/userns":         {"runtime/kubelet/container", "runtime/kubelet/poddir"},
	"runtime/kubelet/volume":         {"runtime/kubelet/container", "runtime/kubelet/csi", "runtime/kubelet/fieldpath", "runtime/kubelet/objects", "runtime/kubelet/podcertificate", "runtime/kubelet/poddir", "runtime/pod"},

	// What tests of all rooms wait by, and listen on.
	"internal/patience": {},
	"internal/ports":    {},

	// It knows the others by their names, as make does.
	"gate":          {},
	"lab":           {},
	"e2e/manifests": {},
	"e2e/standin":   {},
	"e2e":           {"bootstrap/bundle", "examples/hello/manifest", "lab", "runtime/apiserver/fuzz", "runtime/config"},
	// It drives the lab as the tests do, and reaches the cluster as a user would.
	"chaos":       {"e2e", "examples/hello/manifest", "lab", "runtime/config"},
	"chaos/judge": {},
	// It runs upstream's suite, which is a program of its own.
	"conformance":        {"e2e", "lab", "runtime/config"},
	"conformance/images": {},
	"bench":              {"bootstrap", "e2e", "lab", "provider", "runtime/addr", "runtime/client", "runtime/config"},
	"examples":           {},
	// The oracle sends requests and knows no kinds.
	"differential":         {"bench/master", "e2e/manifests", "runtime/config"},
	"differential/corpus":  {},
	"differential/compare": {},

	"cmd/gantry":                    {"runtime"},
	"cmd/gantry-unpack":             {"bootstrap/bundle"},
	"cmd/gantry-hold":               {},
	"cmd/terraform-provider-gantry": {"provider"},
}

// sole lists libraries that only some packages may import.
var sole = map[string][]string{
	"github.com/anishathalye/porcupine":      {"chaos/judge"},
	"golang.org/x/crypto/ssh":                {"bootstrap/ssh", "bootstrap/hosttest"},
	"aead.dev/minisign":                      {"bootstrap/bundle", "e2e"},
	"github.com/containerd/containerd":       {"runtime/kubelet/containerd"},
	"go.etcd.io/etcd":                        {"runtime/etcd", "runtime/apiserver", "bootstrap/join"},
	"k8s.io/apiserver":                       {"runtime/apiserver", "runtime/access", "runtime/quota", "runtime/controller/resourcequota"},
	"github.com/hashicorp/terraform-plugin-": {"provider", "cmd/terraform-provider-gantry"},
}

// never lists what a binary must not link, by prefix.
var never = map[string][]string{
	"cmd/terraform-provider-gantry": {
		"k8s.io/kubernetes", "k8s.io/apiserver", "go.etcd.io/etcd/server", "github.com/containerd/containerd/v2/client",
		module + "runtime/apiserver", module + "runtime/etcd", module + "runtime/kubelet", module + "runtime/network",
		module + "runtime/netpol", module + "runtime/proxy", module + "runtime/scheduler", module + "runtime/controller", module + "runtime/dns",
	},
	"cmd/gantry":        {"k8s.io/kubernetes", "github.com/hashicorp/terraform-", module + "provider", module + "bootstrap", module + "lab"},
	"cmd/gantry-unpack": {"k8s.io", "google.golang.org", module + "runtime"},
	"cmd/gantry-hold":   {"k8s.io", "google.golang.org", "net", module + "runtime"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var out []listed
	for d := json.NewDecoder(&stdout); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// within says whether a package is name or below it. A name that ends in a
// hyphen, as a module family's does, is a plain prefix.
func within(pkg, name string) bool {
	return pkg == name || strings.HasPrefix(pkg, name+"/") || (strings.HasSuffix(name, "-") && strings.HasPrefix(pkg, name))
}

// rowOf returns the longest name of the table that a package falls under.
func rowOf(pkg string) string {
	var best string
	for name := range arrows {
		if within(pkg, name) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

func TestArrows(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		row := rowOf(from)
		if row == "" {
			t.Errorf("%s has no row in the table of arrows: say what it may import", from)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if within(to, row) || slices.ContainsFunc(arrows[row], func(name string) bool { return within(to, name) }) {
				continue
			}
			t.Errorf("%s imports %s; it may import %v", from, to, arrows[row])
		}
	}
}

func TestSoleImporters(t *testing.T) {
	for _, p := range list(t, "./...") {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			for library, importers := range sole {
				if within(imported, library) && !slices.ContainsFunc(importers, func(name string) bool { return within(from, name) }) {
					t.Errorf("%s imports %s, which only %v may", from, imported, importers)
				}
			}
		}
	}
}

func TestBinariesLinkOnlyWhatTheyNeed(t *testing.T) {
	for binary, prefixes := range never {
		for _, p := range list(t, "./"+binary) {
			for _, dep := range p.Deps {
				for _, prefix := range prefixes {
					if within(dep, prefix) {
						t.Errorf("%s links %s", binary, dep)
					}
				}
			}
		}
	}
}
