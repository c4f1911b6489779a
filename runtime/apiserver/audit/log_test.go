package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestWhatIsLogged(t *testing.T) {
	node := &user.DefaultInfo{Name: "system:node:w1", Groups: []string{config.NodesGroup}}
	scheduler := &user.DefaultInfo{Name: config.SchedulerUser}
	self := &user.DefaultInfo{Name: user.APIServerUser, Groups: []string{config.MastersGroup}}
	alice := &user.DefaultInfo{Name: "alice"}
	rules := policy.NewPolicyRuleEvaluator(defaultPolicy())
	for _, tc := range []struct {
		who                            user.Info
		verb, group, resource, part, p string
		want                           auditinternal.Level
	}{
		{who: alice, verb: "get", resource: "pods", want: auditinternal.LevelMetadata},
		{who: alice, verb: "create", resource: "events", want: auditinternal.LevelMetadata},
		{who: alice, verb: "update", group: "coordination.k8s.io", resource: "leases", want: auditinternal.LevelMetadata},
		{who: alice, verb: "list", resource: "secrets", want: auditinternal.LevelMetadata},
		{who: alice, verb: "get", p: "/metrics", want: auditinternal.LevelMetadata},
		{who: alice, verb: "get", p: "/readyz", want: auditinternal.LevelNone},
		{who: node, verb: "update", group: "coordination.k8s.io", resource: "leases", want: auditinternal.LevelNone},
		{who: node, verb: "patch", resource: "nodes", part: "status", want: auditinternal.LevelNone},
		{who: node, verb: "patch", resource: "nodes", want: auditinternal.LevelMetadata},
		{who: node, verb: "patch", resource: "pods", part: "status", want: auditinternal.LevelNone},
		{who: node, verb: "watch", resource: "pods", want: auditinternal.LevelNone},
		{who: node, verb: "delete", resource: "pods", want: auditinternal.LevelMetadata},
		{who: node, verb: "create", resource: "events", want: auditinternal.LevelNone},
		{who: node, verb: "get", resource: "secrets", want: auditinternal.LevelMetadata},
		{who: node, verb: "watch", resource: "configmaps", want: auditinternal.LevelMetadata},
		{who: node, verb: "create", resource: "serviceaccounts", part: "token", want: auditinternal.LevelMetadata},
		{who: scheduler, verb: "create", resource: "pods", part: "binding", want: auditinternal.LevelMetadata},
		{who: scheduler, verb: "update", group: "coordination.k8s.io", resource: "leases", want: auditinternal.LevelNone},
		{who: scheduler, verb: "get", resource: "secrets", want: auditinternal.LevelMetadata},
		{who: scheduler, verb: "watch", resource: "nodes", want: auditinternal.LevelNone},
		{who: scheduler, verb: "create", group: "events.k8s.io", resource: "events", want: auditinternal.LevelNone},
		{who: self, verb: "get", resource: "secrets", want: auditinternal.LevelNone},
		{who: self, verb: "create", resource: "namespaces", want: auditinternal.LevelMetadata},
	} {
		a := authorizer.AttributesRecord{User: tc.who, Verb: tc.verb, APIGroup: tc.group, Resource: tc.resource, Subresource: tc.part, ResourceRequest: tc.p == "", Path: tc.p}
		got := rules.EvaluatePolicyRule(a)
		if got.Level != tc.want {
			t.Errorf("%s %s %s/%s %s: %s", tc.who.GetName(), tc.verb, tc.resource, tc.part, tc.p, got.Level)
		}
		if len(got.OmitStages) != 1 || got.OmitStages[0] != auditinternal.StageRequestReceived {
			t.Errorf("stages %v are left out", got.OmitStages)
		}
	}
}

func TestTheLogIsOneEventALineAndRotates(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit", "audit.log")
	l, err := Open(config.Audit{LogFile: file, MaxSizeMiB: 1, MaxBackups: 1, MaxAgeDays: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * 1024 {
		e := &auditinternal.Event{AuditID: "7", Stage: auditinternal.StageResponseComplete, RequestURI: "/" + strings.Repeat("x", 1024)}
		if !l.Backend.ProcessEvents(e) {
			t.Fatal("an event is lost")
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	files, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			continue // the oldest may just have been removed
		}
		if info.Mode().Perm() != 0o600 || info.Size() > 1<<20 {
			t.Errorf("%s: mode %o, %d bytes", f.Name(), info.Mode(), info.Size())
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var e struct{ Kind, APIVersion, AuditID string }
		if err := json.Unmarshal(line, &e); err != nil || e.Kind != "Event" || e.APIVersion != "audit.k8s.io/v1" || e.AuditID != "7" {
			t.Fatalf("%v: %+v", err, e)
		}
	}
}

func TestALogThatCannotBeIsRefused(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	for what, tc := range map[string]struct {
		policy string
		c      config.Audit
		want   string
	}{
		"a directory":          {"", config.Audit{LogFile: dir}, "audit log: "},
		"no such policy":       {"", config.Audit{LogFile: dir + "/l", PolicyFile: dir + "/none"}, "audit policy: "},
		"a policy of no rules": {"apiVersion: audit.k8s.io/v1\nkind: Policy\n", config.Audit{LogFile: dir + "/l", PolicyFile: policy}, "audit policy: "},
		"another level":        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n", config.Audit{LogFile: dir + "/l", PolicyFile: policy}, "audit policy: "},
		"a policy":             {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request}]\n", config.Audit{LogFile: dir + "/l", PolicyFile: policy}, ""},
	} {
		if err := os.WriteFile(policy, []byte(tc.policy), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(tc.c)
		if tc.want == "" {
			if err != nil || l.Policy.EvaluatePolicyRule(authorizer.AttributesRecord{}).Level != auditinternal.LevelRequest {
				t.Errorf("%s: %v", what, err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
