//go:build acceptance

package provider

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
)

// badInput is one thing that a configuration or a server can have wrong.
type badInput struct {
	name string
	// masters, pool and more make up the configuration; block replaces the provider's.
	masters, network, pool, more, block string
	// before makes a server what it should not be.
	before func(*world)
	// warns: it is told, and terraform goes on.
	warns bool
	// applied: it is seen when the configuration is applied; otherwise a plan shows it.
	applied bool
	want    []string
}

func (b badInput) hcl(w *world) string {
	block, masters := w.block(), `m1 = { address = "192.0.2.1" }`
	if b.block != "" {
		block = b.block
	}
	if b.masters != "" {
		masters = b.masters
	}
	s := block + "resource \"gantry_cluster\" \"this\" {\n  name = \"demo\"\n  masters = {" + masters + "}\n" + b.network + "\n}\n"
	if b.pool != "" {
		s += "resource \"gantry_node_pool\" \"a\" {\n  cluster = gantry_cluster.this.handle\n" + b.pool + "\n}\n"
	}
	return s + b.more
}

// second is another pool with these hosts.
func second(hosts string) string {
	return "resource \"gantry_node_pool\" \"b\" {\n  cluster = gantry_cluster.this.handle\n  name = \"b\"\n  hosts = {" + hosts + "}\n}\n"
}

const pairs = `name = "a"
  hosts = { w1 = { address = "192.0.2.2" } }
`

// badInputs are all of them. What a user gets to read is part of the table.
func badInputs(t *testing.T) []badInput {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "bundle.tar.zst")
	data, err := os.ReadFile(packBundle(t, "linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	beside, _ := json.Marshal(map[string]string{"archiveSHA256": strings.Repeat("0", 64)})
	for name, content := range map[string][]byte{damaged: data, damaged + ".json": beside, filepath.Join(dir, "text"): []byte("no archive")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block := func(file string) string { return fmt.Sprintf("provider \"gantry\" {\n  bundle = %q\n}\n", file) }
	return []badInput{
		{name: "no master", masters: " ", want: []string{"masters: at least one is required"}},
		{name: "an even number of masters", masters: `m1 = { address = "192.0.2.1" }, m2 = { address = "192.0.2.2" }`, warns: true,
			want: []string{"Warning: 2 masters bear the loss of no more than 1 would", "A majority of the masters must live."}},
		{name: "one address twice", masters: `m1 = { address = "192.0.2.1" }, m2 = { address = "192.0.2.1" }`, want: []string{`masters["m2"]: address 192.0.2.1 is that of "m1" too`}},
		{name: "one address twice in a pool", pool: `name = "a"
  hosts = { w1 = { address = "192.0.2.2" }, w2 = { address = "192.0.2.2" } }`, want: []string{`hosts["w2"]: address 192.0.2.2 is that of "w1" too`}},
		{name: "one address in two pools", pool: pairs, more: second(`w2 = { address = "192.0.2.2" }`), want: []string{"A server is in two places", "192.0.2.2", "pool a", "pool b"}},
		{name: "one name in two pools", pool: pairs, more: second(`w1 = { address = "192.0.2.3" }`), want: []string{"A name is used twice", "a server named w1", "pool a", "pool b"}},
		{name: "a master in a pool", pool: `name = "a"
  hosts = { w1 = { address = "192.0.2.1" } }`, want: []string{"address 192.0.2.1 is that of master m1"}},
		{name: "a master's name in a pool", pool: `name = "a"
  hosts = { m1 = { address = "192.0.2.2" } }`, want: []string{`hosts["m1"]: the cluster has a master of that name`}},
		{name: "one server in two clusters", more: "resource \"gantry_cluster\" \"other\" {\n  name = \"other\"\n  masters = { x = { address = \"192.0.2.1\" } }\n}\n",
			want: []string{"A server is in two places", "cluster demo", "cluster other"}},
		{name: "one server in two clusters' pools of one name", pool: pairs, more: "resource \"gantry_cluster\" \"other\" {\n  name = \"other\"\n  masters = { x = { address = \"192.0.2.3\" } }\n}\n" +
			"resource \"gantry_node_pool\" \"b\" {\n  cluster = gantry_cluster.other.handle\n" + pairs + "}\n",
			want: []string{"A server is in two places", "192.0.2.2", "pool a of cluster demo", "pool a of cluster other"}},
		{name: "overlapping ranges", network: `network = { pod_cidrs = ["10.0.0.0/8"] }`, want: []string{"pod_cidrs 10.0.0.0/8 and service_cidrs 10.96.0.0/16 overlap"}},
		{name: "a host among the pods", network: `network = { pod_cidrs = ["192.0.0.0/16"] }`, want: []string{`host "m1": address 192.0.2.1 lies in pod_cidrs 192.0.0.0/16`}},
		{name: "a worker among the Services", network: `network = { service_cidrs = ["198.51.100.0/24"] }`, pool: `name = "a"
  hosts = { w1 = { address = "198.51.100.7" } }`, want: []string{`host "w1": address 198.51.100.7 lies in service_cidrs 198.51.100.0/24`}},
		{name: "no CIDR", network: `network = { service_cidrs = ["services"] }`, want: []string{`service_cidrs: "services" is not a CIDR such as 10.244.0.0/16`}},
		{name: "a second family", network: `network = { pod_cidrs = ["10.244.0.0/16", "fd00::/48"] }`, want: []string{"pod_cidrs: 10.244.0.0/16,fd00::/48: a second address (family) is not supported yet: give one of IPv4"}},
		{name: "a node's second family", masters: `m1 = { address = "192.0.2.1", node_ips = ["192.0.2.1", "2001:db8::1"] }`, want: []string{`node_ips: 192.0.2.1,2001:db8::1: a second address (family) is not supported yet`}},
		{name: "no range", network: `network = { service_cidrs = [] }`, want: []string{"network.service_cidrs list must contain at least 1 elements"}},
		{name: "ranges as earlier versions had them", network: `network = { pod_cidr = "10.244.0.0/16" }`, want: []string{"The attribute is a list now", `Write pod_cidrs = ["10.244.0.0/16"].`}},
		{name: "a node's address as earlier versions had it", masters: `m1 = { address = "192.0.2.1", node_ip = "192.0.2.9" }`, want: []string{`Write node_ips = ["192.0.2.9"].`}},
		{name: "host bits", network: `network = { pod_cidrs = ["10.1.2.3/16"] }`, want: []string{"did you mean 10.1.0.0/16?"}},
		{name: "a domain", network: `network = { dns_domain = "_" }`, want: []string{"dns_domain", `"_"`}},
		{name: "a node's name", masters: `M_1 = { address = "192.0.2.1" }`, want: []string{`masters["M_1"]: name: "M_1": a lowercase RFC 1123 label must consist of`}},
		{name: "a name of the API servers", pool: `name = "a"
  hosts = { kubernetes = { address = "192.0.2.2" } }`, want: []string{`hosts["kubernetes"]: a node cannot have this name: clients verify API servers by it`}},
		{name: "the address of another as a name", masters: `m1 = { address = "m2", node_ips = ["192.0.2.1"] }, m2 = { address = "192.0.2.2" }, m3 = { address = "192.0.2.3" }`,
			want: []string{`masters["m2"]: the name is the address of "m1"`}},
		{name: "a lifetime of certificates", network: `certificate_lifetime = "9m"`, want: []string{"certificate_lifetime: 9m0s is not between 10m and 8760h (a year)"}},
		{name: "a label", masters: `m1 = { address = "192.0.2.1", labels = { "k" = "a b" } }`, want: []string{`masters["m1"]: labels: value "a b" of k`}},
		{name: "a pool's label", pool: pairs + `labels = { "-k" = "v" }`, want: []string{`labels: key "-k"`}},
		{name: "a taint's effect", pool: pairs + `taints = [{ key = "k", effect = "Never" }]`, want: []string{`effect value must be one of: ["NoSchedule" "PreferNoSchedule" "NoExecute"], got: "Never"`}},
		{name: "a taint's key", pool: pairs + `taints = [{ key = "a b", effect = "NoExecute" }]`, want: []string{`taints[0]: key "a b"`}},
		{name: "a port", masters: `m1 = { address = "192.0.2.1", ssh = { port = 70000 } }`, want: []string{"ssh.port value must be between 1 and 65535, got: 70000"}},
		{name: "a duration", pool: pairs + `drain_timeout = "soon"`, want: []string{`"soon": expected a positive duration such as 90s, 5m or 24h.`}},
		{name: "a time-out", network: `timeouts = { create = "soon" }`, want: []string{`"soon" must be a string containing a sequence of decimal numbers`}},
		{name: "a DNS name without an address", masters: `m1 = { address = "m1.example.org" }`, want: []string{`"m1.example.org" is not an IPv4 address; give node_ips where address is a DNS name`}},

		{name: "an audit policy", network: `api_server = { audit = { policy = "kind: Policy" } }`, want: []string{`api_server: audit: policy: it is "Policy" of ""`}},
		{name: "an audit policy's rule", network: `api_server = { audit = { policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]" } }`, want: []string{`rules[0].level: "All" is none of`}},
		{name: "bounds of no log", network: `api_server = { audit = { enabled = false, max_backups = 3 } }`, want: []string{"max_backups is of no use with enabled = false"}},
		{name: "an issuer", network: `api_server = { authentication_configuration = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt: [{issuers: 1}]" }`,
			want: []string{`unknown field`, `issuers`}},
		{name: "a webhook's key", network: `api_server = { token_webhook = { kubeconfig = "apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: x}}]" } }`,
			want: []string{`users[0].user.token: it would be in Terraform's state`, `there is no context ""`}},
		{name: "a rotation", network: `api_server = { encryption_key_rotation = -1 }`, want: []string{"encryption_key_rotation -1 is negative"}},
		{name: "a limit of events", network: `api_server = { event_rate_limits = [{ type = "All", qps = 1, burst = 1 }] }`, want: []string{`event_rate_limits[0]: type "All" is none of`}},
		{name: "a sysctl of the server", network: `kubelet = { allowed_unsafe_sysctls = ["kernel.core_pattern"] }`, want: []string{`"kernel.core_pattern" belongs to no namespace`}},

		{name: "a bundle that is not signed", block: "provider \"gantry\" {\n  bundle = \"" + packBundle(t, "linux/amd64") + "\"\n  bundle_public_key = \"" + publicKey(t) + "\"\n}\n",
			want: []string{"The bundle cannot be used", "is not signed: there is no", ".minisig", "key ID"}},
		{name: "a key that is none", block: "provider \"gantry\" {\n  bundle = \"" + packBundle(t, "linux/amd64") + "\"\n  bundle_public_key = \"RWQ\"\n}\n",
			want: []string{"The key that verifies bundles cannot be used", `"RWQ" is no public key of minisign`}},
		{name: "an unknown bundle", block: block(filepath.Join(dir, "none")), want: []string{"The bundle cannot be used", "no such file or directory"}},
		{name: "a bundle that is none", block: block(filepath.Join(dir, "text")), want: []string{"The bundle cannot be used"}},
		{name: "a bundle's checksum", block: block(damaged), want: []string{"The bundle cannot be used", "its SHA-256 is", "says " + strings.Repeat("0", 64), "copy or build it anew"}},
		{name: "another architecture", block: block(packBundle(t, "linux/arm64")), applied: true, want: []string{"it is linux/amd64, the bundle", "is for linux/arm64: use a bundle for linux/amd64"}},

		{name: "an unreachable server", masters: `m1 = { address = "192.0.2.99" }`, applied: true,
			want: []string{"host unreachable: no route to host", "Check that the server is up and that sshd answers at its address", "Cluster demo was not created"}},
		{name: "a full disk", before: func(w *world) { w.servers["192.0.2.1"].Facts = "disk=1048576\n" }, applied: true,
			want: []string{"Host m1 cannot become a node", "1 MB are free under /var/lib, the least that works is 2048: free space or mount a larger disk there", "Nothing was changed on the host."}},
		{name: "a port in use", before: func(w *world) { w.servers["192.0.2.1"].Facts = "listen=192B\n" }, applied: true,
			want: []string{"port 6443, which the API server needs, is in use: stop what listens there (ss -ltnp 'sport = :6443' shows it)"}},
		{name: "a server of another cluster", before: func(w *world) {
			w.servers["192.0.2.1"].SetFile("/etc/gantry/host.yaml", "clusterID: c-0\nclusterName: old\nnodeName: x\nroles: [worker]\n")
		}, applied: true, want: []string{`is already node "x" of cluster "old" (c-0): take it out of that cluster first`}},
	}
}

// publicKey is one with which nothing was signed.
func publicKey(t *testing.T) string {
	t.Helper()
	// Ed25519's algorithm, eight bytes of key ID, and 32 of a key.
	return base64.StdEncoding.EncodeToString(append([]byte("Ed"), make([]byte, 40)...))
}

func TestAccBadInputIsRefusedBeforeAnythingChanges(t *testing.T) {
	for _, b := range badInputs(t) {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, 3)
			if b.before != nil {
				b.before(w)
			}
			args := []string{"plan", "-no-color", "-input=false"}
			if b.applied {
				args = []string{"apply", "-no-color", "-input=false", "-auto-approve"}
			}
			out, err := runTerraform(t, w.provider, b.hcl(w), args...)
			if (err == nil) != b.warns {
				t.Errorf("terraform ended with %v", err)
			}
			for _, want := range b.want {
				if !strings.Contains(out, strings.Join(strings.Fields(want), " ")) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			for _, m := range w.servers {
				if got := m.Changes(); len(got) > 0 {
					t.Errorf("%s was changed: %v", m.Title, got)
				}
			}
		})
	}
}

// What is wrong with a login is seen by the real client, at a real server.
func TestAccBadLoginsAreRefused(t *testing.T) {
	w := newWorld(t, 0)
	sudo := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(sudo, []byte("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(sudo)+string(os.PathListSeparator)+os.Getenv("PATH"))
	other, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user   string
		change func(*hosttest.SSHD)
		key    func(*hosttest.SSHD) string // the host key to expect
		want   []string
	}{
		"a refused key":      {"root", func(s *hosttest.SSHD) { s.Refuse = true }, nil, []string{"login refused", "Check the provider's ssh block"}},
		"a changed host key": {"root", nil, func(*hosttest.SSHD) string { return other.HostKey }, []string{"host key changed", "The server was reinstalled, or another machine answers at its address."}},
		"no sudo":            {"operator", nil, nil, []string{"permission denied: sudo: a password is required; let operator use sudo without a password", "Log in as root, or let the user use sudo"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := hosttest.NewSSHD()
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(s)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			_, port, err := net.SplitHostPort(s.Address)
			if err != nil {
				t.Fatal(err)
			}
			key := s.HostKey
			if c.key != nil {
				key = c.key(s)
			}
			hcl := fmt.Sprintf("provider \"gantry\" {\n  bundle = %q\n  ssh = {\n    user = %q\n    agent = false\n    private_key = %q\n  }\n}\n", w.bundle, c.user, s.ClientKey) +
				fmt.Sprintf("resource \"gantry_cluster\" \"this\" {\n  name = \"demo\"\n  masters = { m1 = { address = \"127.0.0.1\", ssh = { port = %s }, host_key = %q } }\n}\n", port, key)
			out, err := runTerraform(t, func() (tfprotov6.ProviderServer, error) { return providerserver.NewProtocol6WithError(New("test")())() },
				hcl, "apply", "-no-color", "-input=false", "-auto-approve")
			if err == nil {
				t.Error("it was applied")
			}
			for _, want := range append(slices.Clone(c.want), "Cluster demo was not created") {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
