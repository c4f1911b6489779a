//go:build acceptance

package provider

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

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
