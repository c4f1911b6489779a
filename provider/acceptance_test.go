//go:build acceptance

package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

const clusterHCL = `
resource "gantry_cluster" "this" {
  name    = "demo"
  masters = { m1 = { address = "192.0.2.1", labels = { rack = "a" } } }
  kubelet = { max_pods = 50 }
  controller_manager = { node_monitor_grace_period = "30s" }
}
`

// poolHCL is a pool of these hosts.
func poolHCL(hosts string) string {
	return `
resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  labels  = { tier = "general" }
  annotations = { "example.org/owner" = "us" }
  kubelet = { reserved = { cpu = "100m" } }
  taints  = [{ key = "dedicated", value = "x", effect = "NoSchedule" }]
  hosts   = {` + hosts + `}
}
`
}

func at(address string) tfjsonpath.Path { return tfjsonpath.New(address) }

func value(resource string, p tfjsonpath.Path, v knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(resource, p, v)
}

func action(resource string, a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(resource, a)
}

// Each step is followed by a plan of the framework's own, which must be empty.
func TestAccClusterAndPool(t *testing.T) {
	w := newWorld(t, 3)
	const cluster, pool = "gantry_cluster.this", "gantry_node_pool.workers"
	one, two := `w1 = { address = "192.0.2.2" }`, `w1 = { address = "192.0.2.2" }, w2 = { address = "192.0.2.3", labels = { disk = "ssd" } }`
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		CheckDestroy:             func(*terraform.State) error { return w.bare() },
		Steps: []resource.TestStep{
			{
				Config: w.block() + clusterHCL + poolHCL(one),
				ConfigStateChecks: []statecheck.StateCheck{
					value(cluster, at("endpoints"), knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("https://192.0.2.1:6443")})),
					value(cluster, at("ca_fingerprint"), knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{64}$`))),
					value(cluster, at("status").AtMapKey("m1").AtMapKey("state"), knownvalue.StringExact("ready")),
					value(cluster, at("status").AtMapKey("m1").AtMapKey("host_key"), knownvalue.StringExact(keyOf("192.0.2.1"))),
					value(pool, at("status").AtMapKey("w1").AtMapKey("version"), knownvalue.StringExact("1.2.3")),
				},
			},
			{
				Config: w.block() + clusterHCL + poolHCL(two),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(cluster, plancheck.ResourceActionNoop), action(pool, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(pool, at("status").AtMapKey("w2").AtMapKey("state"), knownvalue.StringExact("ready")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{value(pool, at("status").AtMapKey("w2").AtMapKey("address"), knownvalue.StringExact("192.0.2.3"))},
			},
			{ResourceName: cluster, ImportState: true, ImportStateId: "192.0.2.1", ImportStateVerify: true},
			{ResourceName: cluster, ImportState: true, ImportStateId: "root@192.0.2.1:22", ImportStateVerify: true, ImportStateVerifyIgnore: []string{"masters"}},
			{ResourceName: pool, ImportState: true, ImportStateId: "192.0.2.1/workers", ImportStateVerify: true},
			{ResourceName: pool, ImportState: true, ImportStateId: "192.0.2.1/others", ExpectError: regexp.MustCompile(`its pools are\s+\["workers"\]`)},
			{ResourceName: pool, ImportState: true, ImportStateId: "192.0.2.1", ExpectError: regexp.MustCompile(`expected \[user@\]address\[:port\] of a\s+master, a slash`)},
			{ResourceName: cluster, ImportState: true, ImportStateId: "192.0.2.2", ExpectError: regexp.MustCompile(`no master: name one of\s+the cluster's masters`)},
			{ResourceName: cluster, ImportState: true, ImportStateId: "192.0.2.99", ExpectError: regexp.MustCompile(`Nothing was imported(?s:.*)no\s+route to host`)},
			{
				// Drift: the plan mends what was stopped, and nothing else.
				PreConfig: func() { w.servers["192.0.2.2"].StopUnit(config.Proxy.Unit()) },
				Config:    w.block() + clusterHCL + poolHCL(two),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(cluster, plancheck.ResourceActionNoop), action(pool, plancheck.ResourceActionUpdate),
				}},
				Check: func(*terraform.State) error {
					if !slices.Contains(w.servers["192.0.2.2"].Running(), config.Proxy.Unit()) {
						return errors.New("the proxy was not started again")
					}
					return nil
				},
			},
			{
				Config: w.block() + clusterHCL + poolHCL(one),
				Check: func(*terraform.State) error {
					if left := w.servers["192.0.2.3"].Paths(); len(left) > 0 {
						return fmt.Errorf("w2 left %v", left)
					}
					return nil
				},
			},
			{
				// A rename of the resource is Terraform's alone.
				Config: w.block() + clusterHCL + regexp.MustCompile(`"workers" \{`).ReplaceAllString(poolHCL(one), `"renamed" {`) +
					"moved {\n  from = gantry_node_pool.workers\n  to   = gantry_node_pool.renamed\n}\n",
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectEmptyPlan(), action("gantry_node_pool.renamed", plancheck.ResourceActionNoop),
				}},
			},
		},
	})
}

// A slip of the configuration takes out no more servers than the pool says, by an
// update, a replacement or a destroy; nothing of what is refused was begun.
func TestAccRemovalLimit(t *testing.T) {
	w := newWorld(t, 4)
	one := `w1 = { address = "192.0.2.2" }`
	two := one + `, w2 = { address = "192.0.2.3" }`
	three := two + `, w3 = { address = "192.0.2.4" }`
	limited := func(limit, hosts string) string {
		return w.block() + clusterHCL + strings.Replace(poolHCL(hosts), "name ", "removal_limit = "+limit+"\n  name ", 1)
	}
	all := func(*terraform.State) error {
		for _, address := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"} {
			if !slices.Contains(w.servers[address].Running(), config.Kubelet.Unit()) {
				return fmt.Errorf("the kubelet of %s does not run", address)
			}
		}
		return nil
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		CheckDestroy:             func(*terraform.State) error { return w.bare() },
		Steps: []resource.TestStep{
			{Config: limited("1", three)},
			{Config: limited("1", one), ExpectError: regexp.MustCompile(`2 of 3 servers would leave the\s+cluster \(w2, w3\)`)},
			{Config: strings.Replace(limited("1", three), `"workers"
  labels`, `"others"
  labels`, 1), ExpectError: regexp.MustCompile(`3 of 3 servers would leave`)},
			{Config: limited("1", three), Destroy: true, ExpectError: regexp.MustCompile(`3 of 3 servers would leave`)},
			{Config: limited("1", three), Check: all},
			{Config: limited("1", two)},
			{Config: limited("2", two)},
			{
				Config: strings.Replace(limited("2", two), `"workers"
  labels`, `"others"
  labels`, 1),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action("gantry_node_pool.workers", plancheck.ResourceActionReplace)}},
				Check: func(*terraform.State) error {
					n, err := w.api.CoreV1().Nodes().Get(context.Background(), "w2", metav1.GetOptions{})
					if err == nil && n.Labels[spec.PoolLabel] != "others" {
						err = fmt.Errorf("w2 has the labels %v", n.Labels)
					}
					return err
				},
			},
		},
	})
}

// A node that never comes is waited for as long as the configuration says.
func TestAccTimeouts(t *testing.T) {
	w := newWorld(t, 2)
	w.nodeTimeout = time.Minute
	started := w.servers["192.0.2.2"].OnStart
	w.servers["192.0.2.2"].OnStart = nil
	hcl := w.block() + clusterHCL + strings.Replace(poolHCL(`w1 = { address = "192.0.2.2" }`), "name ", "timeouts = { create = \"5s\", update = \"30s\" }\n  name ", 1)
	const pool = "gantry_node_pool.workers"
	state := func(s string) []statecheck.StateCheck {
		return []statecheck.StateCheck{value(pool, at("status").AtMapKey("w1").AtMapKey("state"), knownvalue.StringExact(s))}
	}
	start := time.Now()
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		CheckDestroy:             func(*terraform.State) error { return w.bare() },
		Steps: []resource.TestStep{
			{Config: hcl, ConfigStateChecks: state("pending"), ExpectNonEmptyPlan: true},
			{
				PreConfig: func() {
					if took := time.Since(start); took > 30*time.Second {
						t.Errorf("the create took %s", took)
					}
					w.servers["192.0.2.2"].OnStart = started
					w.servers["192.0.2.2"].StopUnit(config.Kubelet.Unit())
				},
				Config:            hcl,
				ConfigStateChecks: state("ready"),
			},
		},
	})
}

func TestAccKubeconfigFile(t *testing.T) {
	w := newWorld(t, 1)
	file := filepath.Join(t.TempDir(), "sub", "kubeconfig")
	hcl := func(renew string) string {
		return w.block() + clusterHCL + fmt.Sprintf("resource \"gantry_kubeconfig_file\" \"admin\" {\n  cluster = gantry_cluster.this.handle\n  path = %q\n  validity = \"24h\"\n  renew_before = %q\n}\n", file, renew)
	}
	const name = "gantry_kubeconfig_file.admin"
	usable := func(*terraform.State) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		c, err := clientcmd.LoadFromFile(file)
		if err != nil || info.Mode().Perm() != 0o600 || c.Clusters["demo"].Server != "https://192.0.2.1:6443" || len(c.AuthInfos["gantry-admin@demo"].ClientKeyData) == 0 {
			return fmt.Errorf("mode %v, %v: %+v", info.Mode(), err, c)
		}
		return nil
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		CheckDestroy: func(*terraform.State) error {
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("the file is still there: %v", err)
			}
			return w.bare()
		},
		Steps: []resource.TestStep{
			{Config: hcl("1h"), Check: usable, ConfigStateChecks: []statecheck.StateCheck{value(name, at("path"), knownvalue.StringExact(file))}},
			{
				PreConfig:        func() { os.Remove(file) },
				Config:           hcl("1h"),
				Check:            usable,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(name, plancheck.ResourceActionCreate)}},
			},
			{
				PreConfig:        func() { w.must(os.Chmod(file, 0o644)) },
				Config:           hcl("1h"),
				Check:            usable,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(name, plancheck.ResourceActionCreate)}},
			},
			{
				PreConfig:        func() { w.must(os.WriteFile(file, []byte("changed"), 0o600)) },
				Config:           hcl("1h"),
				Check:            usable,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(name, plancheck.ResourceActionCreate)}},
			},
			{Config: hcl("24h"), ExpectError: regexp.MustCompile(`The certificate would be renewed by every apply`)},
			{
				// Its end is near: it is made anew.
				PreConfig:        func() { w.later = 23*time.Hour + 30*time.Minute },
				Config:           hcl("1h"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(name, plancheck.ResourceActionUpdate)}},
				Check: func(s *terraform.State) error {
					w.later = 0
					return usable(s)
				},
			},
		},
	})
}

func TestAccKubeconfig(t *testing.T) {
	w := newWorld(t, 1)
	factories := w.factories()
	factories["echo"] = echoprovider.NewProviderServer()
	data := func(name string) tfjsonpath.Path { return at("data").AtMapKey(name) }
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories,
		Steps: []resource.TestStep{{
			Config: w.block() + clusterHCL + `
ephemeral "gantry_kubeconfig" "this" {
  cluster  = gantry_cluster.this.handle
  user     = "ci"
  groups   = ["deployers"]
  validity = "10m"
}
provider "echo" {
  data = ephemeral.gantry_kubeconfig.this
}
resource "echo" "this" {}
`,
			ConfigStateChecks: []statecheck.StateCheck{
				value("echo.this", data("host"), knownvalue.StringExact("https://192.0.2.1:6443")),
				value("echo.this", data("client_key"), knownvalue.StringRegexp(regexp.MustCompile(`^-----BEGIN PRIVATE KEY-----`))),
				value("echo.this", data("client_certificate"), knownvalue.StringRegexp(regexp.MustCompile(`^-----BEGIN CERTIFICATE-----`))),
				value("echo.this", data("cluster_ca_certificate"), knownvalue.StringRegexp(regexp.MustCompile(`^-----BEGIN CERTIFICATE-----`))),
				value("echo.this", data("kubeconfig"), knownvalue.StringRegexp(regexp.MustCompile(`(?s)current-context: demo.*ci@demo`))),
			},
		}},
	})
}

func TestAccHostFacts(t *testing.T) {
	w := newWorld(t, 2)
	w.servers["192.0.2.2"].Facts = "listen=192B\n" // 6443
	facts := func(name, address, role string) string {
		return fmt.Sprintf("data \"gantry_host_facts\" %q {\n  address = %q\n  role = %q\n  depends_on = [gantry_cluster.this]\n}\n", name, address, role)
	}
	d := "data.gantry_host_facts."
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		Steps: []resource.TestStep{
			{
				Config: w.block() + clusterHCL + facts("member", "192.0.2.1", "master") + facts("bare", "192.0.2.2", "master") + facts("worker", "192.0.2.2", "worker"),
				ConfigStateChecks: []statecheck.StateCheck{
					value(d+"member", at("cluster").AtMapKey("name"), knownvalue.StringExact("demo")),
					value(d+"member", at("cluster").AtMapKey("node"), knownvalue.StringExact("m1")),
					value(d+"member", at("findings"), knownvalue.ListSizeExact(0)),
					value(d+"bare", at("cluster"), knownvalue.Null()),
					value(d+"bare", at("architecture"), knownvalue.StringExact("amd64")),
					value(d+"bare", at("kernel"), knownvalue.StringExact("6.1.0")),
					value(d+"bare", at("cgroup_version"), knownvalue.Int64Exact(2)),
					value(d+"bare", at("memory_bytes"), knownvalue.Int64Exact(8<<30)),
					value(d+"bare", at("machine_id"), knownvalue.StringExact("machine-of-server-2")),
					value(d+"bare", at("host_key"), knownvalue.StringExact(keyOf("192.0.2.2"))),
					value(d+"bare", at("findings").AtSliceIndex(0).AtMapKey("problem"), knownvalue.StringExact("port 6443, which the API server needs, is in use")),
					value(d+"worker", at("findings"), knownvalue.ListSizeExact(0)),
				},
			},
			{Config: w.block() + clusterHCL + facts("gone", "192.0.2.99", "worker"), ExpectError: regexp.MustCompile(`Host 192.0.2.99 could not be asked(?s:.*)no route to host`)},
			{Config: w.block() + clusterHCL + facts("x", "192.0.2.1", "boss"), ExpectError: regexp.MustCompile(`role value must be one of`)},
			{Config: w.block() + clusterHCL},
		},
	})
}

func TestAccClusterStatus(t *testing.T) {
	w := newWorld(t, 2)
	const name = "data.gantry_cluster_status.this"
	hcl := w.block() + clusterHCL + poolHCL(`w1 = { address = "192.0.2.2" }`) + `
data "gantry_cluster_status" "this" {
  cluster    = gantry_cluster.this.handle
  depends_on = [gantry_node_pool.workers]
}
`
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		Steps: []resource.TestStep{
			{
				Config: hcl,
				ConfigStateChecks: []statecheck.StateCheck{
					value(name, at("healthy"), knownvalue.Bool(true)),
					value(name, at("problems"), knownvalue.ListSizeExact(0)),
					value(name, at("masters").AtMapKey("m1").AtMapKey("reachable"), knownvalue.Bool(true)),
					value(name, at("masters").AtMapKey("m1").AtMapKey("certificates").AtMapKey("apiserver"), knownvalue.StringRegexp(regexp.MustCompile(`^20\d\d-`))),
					value(name, at("members").AtMapKey("m1").AtMapKey("role"), knownvalue.StringExact("leader")),
					value(name, at("voters_living"), knownvalue.Int64Exact(1)),
					value(name, at("voters_may_fail"), knownvalue.Int64Exact(0)),
					value(name, at("nodes").AtMapKey("w1").AtMapKey("pool"), knownvalue.StringExact("workers")),
					value(name, at("nodes").AtMapKey("w1").AtMapKey("version"), knownvalue.StringExact("1.2.3")),
					value(name, at("nodes").AtMapKey("m1").AtMapKey("master"), knownvalue.Bool(true)),
				},
			},
			{
				// With the only master away nothing can be seen, and that is no error.
				PreConfig:    func() { w.down["192.0.2.1"] = true },
				RefreshState: true,
			},
			{
				Config: hcl,
				ConfigStateChecks: []statecheck.StateCheck{
					value(name, at("healthy"), knownvalue.Bool(false)),
					value(name, at("problems"), knownvalue.ListSizeExact(2)),
					value(name, at("first_expiry"), knownvalue.Null()),
					// It is not known to have lost its quorum.
					value(name, at("voters_living"), knownvalue.Null()),
					value(name, at("voters_needed"), knownvalue.Null()),
					value(name, at("voters_may_fail"), knownvalue.Null()),
					value(name, at("masters").AtMapKey("m1").AtMapKey("message"), knownvalue.StringRegexp(regexp.MustCompile("no route to host"))),
				},
			},
			{PreConfig: func() { w.down["192.0.2.1"] = false }, Config: hcl},
		},
	})
}

func TestAccFunctions(t *testing.T) {
	// A function needs no provider block and no server.
	factories := map[string]func() (tfprotov6.ProviderServer, error){"gantry": providerserver.NewProtocol6WithError(New("test")())}
	output := func(name, expression string) string {
		return fmt.Sprintf("output %q {\n  value = %s\n}\n", name, expression)
	}
	const requires = "terraform {\n  required_providers {\n    gantry = {\n      source = \"hashicorp/gantry\"\n    }\n  }\n}\n"
	one := `yamlencode({apiVersion = "v1", kind = "Config", current-context = "a", contexts = [{name = "a", context = {cluster = "a", user = "a"}}], clusters = [{name = "a", cluster = {server = "https://a"}}], users = []})`
	two := regexp.MustCompile(`"a"`).ReplaceAllString(one, `"b"`)
	other := regexp.MustCompile(`https://a`).ReplaceAllString(one, "https://z")
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories,
		Steps: []resource.TestStep{
			{
				Config: requires + output("hosts", `provider::gantry::parse_hosts("m1 root@192.0.2.1:2222 # first\n192.0.2.2")`) +
					output("quorum", `provider::gantry::quorum(4)`) + output("kubeconfig", `provider::gantry::kubeconfig_merge(`+one+`, `+two+`)`),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("hosts", knownvalue.MapExact(map[string]knownvalue.Check{
						"m1": knownvalue.ObjectExact(map[string]knownvalue.Check{
							"address": knownvalue.StringExact("192.0.2.1"),
							"ssh":     knownvalue.ObjectExact(map[string]knownvalue.Check{"user": knownvalue.StringExact("root"), "port": knownvalue.Int64Exact(2222)}),
						}),
						"node-192-0-2-2": knownvalue.ObjectExact(map[string]knownvalue.Check{"address": knownvalue.StringExact("192.0.2.2"), "ssh": knownvalue.Null()}),
					})),
					statecheck.ExpectKnownOutputValue("quorum", knownvalue.ObjectExact(map[string]knownvalue.Check{"majority": knownvalue.Int64Exact(3), "tolerance": knownvalue.Int64Exact(1)})),
					statecheck.ExpectKnownOutputValue("kubeconfig", knownvalue.StringRegexp(regexp.MustCompile(`(?s)name: a\n.*name: b\n.*current-context: a\n`))),
				},
			},
			{Config: requires + output("x", `provider::gantry::quorum(0)`), ExpectError: regexp.MustCompile(`at least\s+one is required`)},
			{Config: requires + output("x", `provider::gantry::parse_hosts("a 192.0.2.1\na 192.0.2.2")`), ExpectError: regexp.MustCompile(`line 2: a is 192.0.2.1 and\s+192.0.2.2`)},
			{Config: requires + output("x", `provider::gantry::kubeconfig_merge(`+one+`, `+other+`)`), ExpectError: regexp.MustCompile(`the cluster "a" is\s+there already, and differs`)},
		},
	})
}
