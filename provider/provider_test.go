package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

func TestSchemasAreValid(t *testing.T) {
	ctx, p := context.Background(), New("test")()
	var ps provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &ps)
	if d := ps.Schema.ValidateImplementation(ctx); d.HasError() {
		t.Error(d)
	}
	for _, f := range p.Resources(ctx) {
		var rs resource.SchemaResponse
		f().Schema(ctx, resource.SchemaRequest{}, &rs)
		if d := rs.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Error(d)
		}
		for name, a := range rs.Schema.Attributes {
			if a.GetMarkdownDescription() == "" {
				t.Errorf("%s has no description", name)
			}
		}
	}
	for _, f := range p.(*Provider).EphemeralResources(ctx) {
		var es ephemeral.SchemaResponse
		f().Schema(ctx, ephemeral.SchemaRequest{}, &es)
		if d := es.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Error(d)
		}
	}
}

// A handle is given to what takes one as it is: a part that one schema lacks makes
// it unreadable there.
func TestAllTakeTheSameHandle(t *testing.T) {
	ctx, p := context.Background(), New("test")().(*Provider)
	seen := 0
	check := func(of string, kind attr.Type) {
		t.Helper()
		seen++
		if !kind.Equal(connectionType()) {
			t.Errorf("%s takes\n%s, a handle is\n%s", of, kind, connectionType())
		}
	}
	for _, f := range p.Resources(ctx) {
		var rs resource.SchemaResponse
		f().Schema(ctx, resource.SchemaRequest{}, &rs)
		for _, name := range []string{"cluster", "handle"} {
			if a, ok := rs.Schema.Attributes[name]; ok {
				check(fmt.Sprintf("%T", f()), a.GetType())
			}
		}
	}
	for _, f := range p.EphemeralResources(ctx) {
		var es ephemeral.SchemaResponse
		f().Schema(ctx, ephemeral.SchemaRequest{}, &es)
		check(fmt.Sprintf("%T", f()), es.Schema.Attributes["cluster"].GetType())
	}
	var ds datasource.SchemaResponse
	(&clusterStatus{}).Schema(ctx, datasource.SchemaRequest{}, &ds)
	check("cluster_status", ds.Schema.Attributes["cluster"].GetType())
	if seen != 5 {
		t.Errorf("%d schemas have a handle", seen)
	}
}

func entry(state, config string) hostStatus {
	s := types.StringValue
	return hostStatus{State: s(state), Address: s("192.0.2.1"), HostKey: s("key"), Config: s(config), Version: s("1"), Message: s("")}
}

func want(config string) wanted {
	return wanted{address: types.StringValue("192.0.2.1"), hostKey: types.StringNull(), hash: config, known: true}
}

func TestThePlanTouchesOnlyWhatChanges(t *testing.T) {
	prior := map[string]hostStatus{
		"same": entry("ready", "a"), "labels": entry("ready", "a"), "pending": entry("pending", "a"), "drifted": entry("drifted", "a"), "gone": entry("ready", "a"),
	}
	planned := planStatus(prior, map[string]wanted{"same": want("a"), "labels": want("b"), "pending": want("a"), "drifted": want("a"), "new": want("a")}, types.StringValue("1"), true)
	if got := touched(prior, planned); !slices.Equal(got, []string{"drifted", "labels", "new", "pending"}) {
		t.Errorf("touches %v", got)
	}
	for name, s := range planned {
		if s.State.ValueString() != "ready" {
			t.Errorf("%s is foreseen as %s", name, s.State)
		}
	}
	if !planned["new"].HostKey.IsUnknown() || planned["labels"].HostKey.ValueString() != "key" {
		t.Errorf("host keys: %v", planned)
	}
	if s := planStatus(nil, map[string]wanted{"new": want("a")}, types.StringValue("1"), false)["new"]; !s.State.IsUnknown() || s.Config.ValueString() != "a" {
		t.Errorf("a create promises %v", s)
	}
}

func TestWhatIsNotSeenIsNotChanged(t *testing.T) {
	old := entry("ready", "a")
	if got := observed(old, bootstrap.Status{State: bootstrap.Unknown, Message: "no route"}); got != old {
		t.Errorf("unreachable changed it to %v", got)
	}
	if got := observed(old, bootstrap.Status{State: bootstrap.Drifted, Message: "x"}); got.State.ValueString() != "drifted" || got.Message.ValueString() != "x" {
		t.Errorf("drift is %v", got)
	}
}

func TestAHostThatFailedIsPendingWithWhatIsKnown(t *testing.T) {
	w := want("a")
	reached := settle(hostStatus{}, w, bootstrap.Status{State: bootstrap.Pending, HostKey: "key", Message: "why\nmore"}, "1")
	if reached.State.ValueString() != "pending" || reached.HostKey.ValueString() != "key" || reached.Message.ValueString() != "why" {
		t.Errorf("reached: %v", reached)
	}
	never := settle(hostStatus{HostKey: types.StringUnknown()}, w, bootstrap.Status{State: bootstrap.Unknown}, "1")
	if never.State.ValueString() != "pending" || !never.HostKey.IsNull() {
		t.Errorf("never reached: %v", never)
	}
}

func TestAHostLeavesWhenItsNameOrAddressIsGone(t *testing.T) {
	state := []spec.Host{{Name: "a", Address: "1"}, {Name: "b", Address: "2"}, {Name: "c", Address: "3"}}
	plan := []spec.Host{{Name: "a", Address: "1"}, {Name: "b", Address: "9"}}
	got := leaving(state, plan)
	if len(got) != 2 || got[0].Name != "b" || got[1].Name != "c" {
		t.Errorf("leaving %v", got)
	}
}

func TestADiagnosticSaysAllThatIsKnown(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &step.Error{Host: "w1 (192.0.2.1)", Step: "start node processes", Change: "enable and start x", Err: &host.CommandError{
		Host: "w1", Command: host.Command{Argv: []string{"systemctl", "restart", "x"}}, Status: 3, Stdout: "said", Stderr: "first\nsecond\n",
	}})
	summary, detail := diagnose("w1", err)
	if summary != `Host w1: step "start node processes" failed` {
		t.Errorf("summary: %s", summary)
	}
	for _, part := range []string{"w1 (192.0.2.1)", "systemctl restart x", "Exit status: 3", "said", "first\nsecond", "Apply again"} {
		if !strings.Contains(detail, part) {
			t.Errorf("the detail lacks %q:\n%s", part, detail)
		}
	}
	if _, detail := diagnose("w1", &host.Error{Kind: host.ErrHostKeyChanged, Host: "w1", Err: errors.New("x")}); !strings.Contains(detail, "set the host's host_key") {
		t.Errorf("no advice: %s", detail)
	}
}

func TestTheTimeOutOfANodeReachesTheEngine(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{0: 2 * time.Minute, time.Hour: time.Hour} {
		s := &session{nodeTimeout: set}
		if got := s.engine(t.Context(), 0).NodeTimeout; got != want {
			t.Errorf("%s becomes %s", set, got)
		}
	}
}
