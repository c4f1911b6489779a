package audit

import (
	"k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/gantry-run/gantry/runtime/config"
)

// defaultPolicy logs who did what, when, and with what result, without contents. Left
// out is what the cluster's own processes do all the time and by themselves: an idle
// cluster writes nothing. Nothing of a user's or a tenant's is left out, nor what a node
// does with secrets, tokens and pods.
func defaultPolicy() *audit.Policy {
	processes := []string{config.ControllerManagerUser, config.SchedulerUser, config.ProxyUser, config.DNSUser, user.APIServerUser}
	read := []string{"get", "list", "watch"}
	none := func(r audit.PolicyRule) audit.PolicyRule {
		r.Level = audit.LevelNone
		return r
	}
	p := &audit.Policy{Rules: []audit.PolicyRule{
		// Probes and discovery.
		none(audit.PolicyRule{NonResourceURLs: []string{"/healthz*", "/livez*", "/readyz*", "/version*", "/openapi*"}}),
		// What nodes report.
		none(audit.PolicyRule{
			UserGroups: []string{config.NodesGroup}, Verbs: []string{"get", "update", "patch"},
			Resources: []audit.GroupResources{{Group: "coordination.k8s.io", Resources: []string{"leases"}}, {Resources: []string{"nodes/status", "pods/status"}}},
		}),
		none(audit.PolicyRule{
			UserGroups: []string{config.NodesGroup}, Verbs: read,
			Resources: []audit.GroupResources{
				{Resources: []string{"nodes", "pods", "services"}}, {Group: "node.k8s.io"}, {Group: "storage.k8s.io"}, {Group: "discovery.k8s.io"},
			},
		}),
		// Leader election, and what controllers derive from what was written.
		none(audit.PolicyRule{
			Users: processes, Verbs: []string{"get", "create", "update", "patch"},
			Resources: []audit.GroupResources{{Group: "coordination.k8s.io", Resources: []string{"leases"}}, {Group: "discovery.k8s.io", Resources: []string{"endpointslices"}}},
		}),
		none(audit.PolicyRule{Users: processes, Verbs: []string{"list", "watch"}}),
		// The server's own reads, through its loopback.
		none(audit.PolicyRule{Users: []string{user.APIServerUser}, Verbs: read}),
	}}
	// Events that our processes report are kept as objects.
	for _, r := range []audit.PolicyRule{{Users: processes}, {UserGroups: []string{config.NodesGroup}}} {
		r.Verbs = []string{"create", "patch"}
		r.Resources = []audit.GroupResources{{Resources: []string{"events"}}, {Group: "events.k8s.io", Resources: []string{"events"}}}
		p.Rules = append(p.Rules, none(r))
	}
	p.Rules = append(p.Rules, audit.PolicyRule{Level: audit.LevelMetadata})
	for i := range p.Rules {
		p.Rules[i].OmitStages = []audit.Stage{audit.StageRequestReceived}
	}
	return p
}
