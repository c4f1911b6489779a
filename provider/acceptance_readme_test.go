//go:build acceptance

package provider

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mirror is what make bundle leaves for terraform init: a CLI configuration, written by the
// script that make runs, and the mirror that it names, with the programs of these providers.
func mirror(t *testing.T, providers ...string) (cliConfig string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range providers {
		program := filepath.Join(dir, "mirror", p, "0.1.0", "linux_amd64", "terraform-provider-"+filepath.Base(p)+"_v0.1.0")
		// It is told from others by its digest only: init starts no provider.
		if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, []byte(p), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	data, err := exec.Command("../tools/cli-config.sh", filepath.Join(dir, "mirror")).Output()
	if err != nil {
		t.Fatal(err)
	}
	cliConfig = filepath.Join(dir, "cli.tfrc")
	if err := os.WriteFile(cliConfig, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return cliConfig
}

// registries is an environment in which every way to a registry ends at a proxy that opens
// none, and what was asked of that proxy.
func registries(t *testing.T) (env []string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var hosts []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts = append(hosts, r.Method+" "+r.Host)
		mu.Unlock()
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	env = []string{"HTTPS_PROXY=" + proxy.URL, "https_proxy=" + proxy.URL, "NO_PROXY=", "no_proxy=", "TF_REGISTRY_DISCOVERY_RETRY=0"}
	return env, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(hosts)
	}
}

// readmeHCL are the blocks of HCL of the README, in their order.
func readmeHCL(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	rest := string(data)
	for {
		_, after, found := strings.Cut(rest, "```hcl\n")
		if !found {
			return blocks
		}
		block, after, _ := strings.Cut(after, "```")
		blocks, rest = append(blocks, block), after
	}
}

// What the README shows is initialised from the mirror of make bundle, without a network
// and by nothing but what it says itself; it is applied, and the line that it then adds is
// planned as it says.
func TestAccReadme(t *testing.T) {
	home(t)
	blocks := readmeHCL(t)
	if len(blocks) != 2 {
		t.Fatalf("README.md has %d blocks of HCL: want a configuration, and a line that is added to it", len(blocks))
	}
	hcl, line := blocks[0], blocks[1]
	const bundle, last = `"dist/gantry-bundle-linux-amd64.tar.zst"`, "    worker-2 = { address = \"10.0.0.22\" }\n"
	if strings.Count(hcl, bundle) != 1 || strings.Count(hcl, last) != 1 {
		t.Fatalf("README.md names another bundle or other workers than make and this test:\n%s", hcl)
	}
	w := newWorld(t, 0)
	for _, n := range []string{"11", "21", "22", "23"} {
		w.install("server-"+n, "10.0.0."+n)
	}
	env, asked := registries(t)
	env = append(env, "TF_CLI_CONFIG_FILE="+mirror(t, named))
	space := w.workspace()
	space.write(strings.Replace(hcl, bundle, `"`+w.bundle+`"`, 1))
	if out, err := runCLI(t, space.dir, env, "init", "-no-color", "-input=false"); err != nil {
		t.Fatalf("init: %v: %s", err, out)
	}
	if hosts := asked(); len(hosts) > 0 {
		t.Errorf("init asked the network for %v", hosts)
	}

	t.Chdir(space.dir) // relative paths are the CLI's, and the provider is in this process
	reattach, stop := serve(t, w.provider, named)
	defer stop()
	do := func(want []string, args ...string) {
		t.Helper()
		out, err := runCLI(t, space.dir, append(env, reattach), append(args, "-no-color", "-input=false")...)
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		for _, s := range want {
			if !strings.Contains(out, s) {
				t.Errorf("%v does not say %q: %s", args, s, out)
			}
		}
	}
	do([]string{"Plan: 3 to add, 0 to change, 0 to destroy."}, "plan")
	do([]string{"3 added, 0 changed"}, "apply", "-auto-approve")
	space.write(strings.NewReplacer(bundle, `"`+w.bundle+`"`, last, last+line).Replace(hcl))
	do([]string{
		"gantry_node_pool.workers will be updated in-place",
		`~ hosts = { + "worker-3" = { + address = "10.0.0.23" }`,
		`~ status = { + "worker-3" = { + address = "10.0.0.23"`,
		`+ state = "ready" + version = "1.2.3" }`,
		"Plan: 0 to add, 1 to change, 0 to destroy.",
	}, "plan")
}

// The mirror of make bundle is asked for gantry alone. Any other provider comes from its
// registry, also one that lies in the mirror for tests.
func TestAccTheMirrorHidesNoOtherProvider(t *testing.T) {
	host := strings.TrimSuffix(unnamed(), "/hashicorp/gantry")
	env, asked := registries(t)
	env = append(env, "TF_CLI_CONFIG_FILE="+mirror(t, named, host+"/hashicorp/null"))
	space := newWorld(t, 0).workspace()
	space.write(`terraform {
  required_providers {
    gantry = { source = "` + named + `" }
    null   = { source = "hashicorp/null" }
  }
}
`)
	out, err := runCLI(t, space.dir, env, "init", "-no-color", "-input=false")
	if err == nil {
		t.Fatalf("a registry that cannot be reached was not missed: %s", out)
	}
	for _, h := range asked() {
		if h != "CONNECT "+host+":443" {
			t.Errorf("%s was asked for", h)
		}
	}
	if len(asked()) == 0 {
		t.Errorf("the registry of hashicorp/null was not asked: %s", out)
	}
}
