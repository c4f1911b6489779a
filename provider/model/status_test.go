package model

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
)

func TestTheStatusAfterAnOperation(t *testing.T) {
	old := entry("ready", "old")
	first := HostStatus{HostKey: types.StringUnknown(), Address: str("192.0.2.1")}
	moved := entry("ready", "old")
	moved.Address = str("192.0.2.9")
	want := Desired{Address: str("192.0.2.1"), HostKey: types.StringNull(), Hash: "new", Known: true}
	configured := want
	configured.HostKey = str("key comment")
	ready := bootstrap.Status{State: bootstrap.Ready, HostKey: "key2"}
	for name, tc := range map[string]struct {
		old     HostStatus
		desired Desired
		now     bootstrap.Status
		want    HostStatus
	}{
		"ready":            {old, want, ready, HostStatus{str("ready"), str("192.0.2.1"), str("key2"), str("new"), str("2"), str("")}},
		"configured key":   {old, configured, ready, HostStatus{str("ready"), str("192.0.2.1"), str("key comment"), str("new"), str("2"), str("")}},
		"failed":           {old, want, bootstrap.Status{State: bootstrap.Pending, HostKey: "key", Message: "why\nmore"}, HostStatus{str("pending"), str("192.0.2.1"), str("key"), str("new"), str("1"), str("why")}},
		"failed behind it": {old, want, bootstrap.Status{State: bootstrap.Pending, HostKey: "key", Version: "2"}, HostStatus{str("pending"), str("192.0.2.1"), str("key"), str("new"), str("2"), str("")}},
		"refused, new":     {first, want, bootstrap.Status{State: bootstrap.Pending, HostKey: "key"}, HostStatus{str("pending"), str("192.0.2.1"), str("key"), str("new"), str(""), str("")}},
		"not reached":      {old, want, bootstrap.Status{State: bootstrap.Unknown, Message: "no route"}, HostStatus{str("pending"), str("192.0.2.1"), str("key"), str("new"), str("1"), str("no route")}},
		"never reached":    {first, want, bootstrap.Status{State: bootstrap.Unknown}, HostStatus{str("pending"), str("192.0.2.1"), types.StringNull(), str("new"), str(""), str("")}},
		"moved, and away":  {moved, want, bootstrap.Status{State: bootstrap.Unknown}, HostStatus{str("pending"), str("192.0.2.1"), types.StringNull(), str("new"), str(""), str("")}},
		"away, configured": {first, configured, bootstrap.Status{State: bootstrap.Unknown}, HostStatus{str("pending"), str("192.0.2.1"), str("key comment"), str("new"), str(""), str("")}},
	} {
		if got := tc.old.Applied(tc.desired, tc.now, "2"); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestTheStatusAfterARefresh(t *testing.T) {
	with := func(s HostStatus, state, key, message string) HostStatus {
		s.State, s.HostKey, s.Message = str(state), str(key), str(message)
		return s
	}
	version := func(s HostStatus, v string) HostStatus {
		s.Version = str(v)
		return s
	}
	old := entry("ready", "a")
	noted := with(old, "ready", "key comment", "")
	for name, tc := range map[string]struct {
		old  HostStatus
		now  bootstrap.Status
		want HostStatus
	}{
		"not seen":            {old, bootstrap.Status{State: bootstrap.Unknown, HostKey: "other", Message: "no route"}, old},
		"drift":               {old, bootstrap.Status{State: bootstrap.Drifted, HostKey: "key", Message: "x"}, with(old, "drifted", "key", "x")},
		"drift is over":       {with(old, "drifted", "key", "x"), bootstrap.Status{State: bootstrap.Ready}, old},
		"a key of a comment":  {noted, bootstrap.Status{State: bootstrap.Ready, HostKey: "key"}, noted},
		"another key":         {old, bootstrap.Status{State: bootstrap.Ready, HostKey: "key2"}, with(old, "ready", "key2", "")},
		"a longer key":        {with(old, "ready", "key2", ""), bootstrap.Status{State: bootstrap.Ready, HostKey: "key"}, old},
		"pending":             {with(old, "pending", "key", "why"), bootstrap.Status{State: bootstrap.Absent, HostKey: "key", Message: "x"}, version(with(old, "pending", "key", "why"), "")},
		"pending, newly seen": {with(old, "pending", "", "why"), bootstrap.Status{State: bootstrap.Absent, HostKey: "key"}, version(with(old, "pending", "key", "why"), "")},
		"another version":     {old, bootstrap.Status{State: bootstrap.Drifted, Message: "x", Version: "2"}, version(with(old, "drifted", "key", "x"), "2")},
		"pending, upgraded":   {with(old, "pending", "key", "why"), bootstrap.Status{State: bootstrap.Ready, Version: "2"}, version(with(old, "pending", "key", "why"), "2")},
		"pending, no version": {with(old, "pending", "key", "why"), bootstrap.Status{State: bootstrap.Drifted}, with(old, "pending", "key", "why")},
		"bare":                {old, bootstrap.Status{State: bootstrap.Absent, Message: "x"}, version(with(old, "absent", "key", "x"), "")},
	} {
		if got := tc.old.Refreshed(tc.now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestStatuses(t *testing.T) {
	want := map[string]HostStatus{"a": entry("ready", "x"), "b": {State: types.StringUnknown(), HostKey: types.StringNull()}}
	var diags diag.Diagnostics
	got := Statuses(t.Context(), statuses(t, want), &diags)
	if len(got) != 2 || got["a"] != want["a"] || got["b"] != want["b"] {
		t.Errorf("%+v is read as %+v", want, got)
	}
	for _, m := range []types.Map{types.MapNull(statusType()), types.MapUnknown(statusType())} {
		if got := Statuses(t.Context(), m, &diags); got == nil || len(got) > 0 {
			t.Errorf("%s is read as %+v", m, got)
		}
	}
	fine(t, diags)
	if s := entry("ready", ""); !s.Is(bootstrap.Pending, bootstrap.Ready) || s.Is(bootstrap.Pending) || s.Is() {
		t.Error("states")
	}
}
