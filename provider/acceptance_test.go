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
	w.nodeTimeout = time.Hour // which ends the test, where it is waited for
	started := w.servers["192.0.2.2"].OnStart
	w.servers["192.0.2.2"].OnStart = nil
	hcl := w.block() + clusterHCL + strings.Replace(poolHCL(`w1 = { address = "192.0.2.2" }`), "name ", "timeouts = { create = \"5s\", update = \"30s\" }\n  name ", 1)
	const pool = "gantry_node_pool.workers"
	state := func(s string) []statecheck.StateCheck {
		return []statecheck.StateCheck{value(pool, at("status").AtMapKey("w1").AtMapKey("state"), knownvalue.StringExact(s))}
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: w.factories(),
		CheckDestroy:             func(*terraform.State) error { return w.bare() },
		Steps: []resource.TestStep{
			{Config: hcl, ConfigStateChecks: state("pending"), ExpectNonEmptyPlan: true},
			{
				PreConfig: func() {
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
