package machine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestHowAHostStandsThatWasLookedAt(t *testing.T) {
	lost, foreign := errors.New("connection lost"), &install.ForeignError{Host: "w1"}
	for name, tc := range map[string]struct {
		drift []string
		err   error
		want  fleet.Status
	}{
		"as it should be":    {nil, nil, fleet.Status{State: fleet.Ready}},
		"it differs":         {[]string{"a", "b"}, nil, fleet.Status{State: fleet.Drifted, Message: "a; b"}},
		"it is bare":         {nil, errBare, fleet.Status{State: fleet.Absent, Message: errBare.Error()}},
		"it is another's":    {nil, fmt.Errorf("look: %w", foreign), fleet.Status{State: fleet.Drifted, Message: "look: " + foreign.Error()}},
		"it cannot be asked": {[]string{"a"}, lost, fleet.Status{State: fleet.Unknown, Message: "connection lost"}},
	} {
		got := judge(tc.drift, tc.err)
		if got.State != tc.want.State || got.Message != tc.want.Message || (got.Err != nil) != (tc.err != nil && !errors.Is(tc.err, errBare)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatACutCreateLeaves(t *testing.T) {
	n := spec.Node{ClusterName: "demo", Host: spec.Host{Name: "m1"}}
	for name, tc := range map[string]struct {
		id   install.Identity
		want bool
	}{
		"the same node":           {install.Identity{ClusterID: "x", ClusterName: "demo", NodeName: "m1"}, true},
		"kept by somebody":        {install.Identity{ClusterName: "demo", NodeName: "m1", Known: true}, false},
		"another node":            {install.Identity{ClusterName: "demo", NodeName: "m2"}, false},
		"another cluster's":       {install.Identity{ClusterName: "other", NodeName: "m1"}, false},
		"another, of another one": {install.Identity{ClusterName: "other", NodeName: "m2"}, false},
	} {
		if got := OfCutCreate(&tc.id, n); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWhichHostsAreNew(t *testing.T) {
	reached := hosttest.NewModel("w1", "192.0.2.1")
	joined := map[string][]byte{install.JoinedFile: []byte("id\n")}
	for name, tc := range map[string]struct {
		m    *fleet.Member
		want bool
	}{
		"none":         {nil, false},
		"not reached":  {&fleet.Member{}, false},
		"bare":         {&fleet.Member{Host: reached}, true},
		"refused":      {&fleet.Member{Host: reached, Refused: errors.New("unfit")}, false},
		"joined":       {&fleet.Member{Host: reached, Files: joined}, false},
		"marked empty": {&fleet.Member{Host: reached, Files: map[string][]byte{install.JoinedFile: nil}}, true},
	} {
		if got := IsNew(tc.m); got != tc.want {
			t.Errorf("%s: new %t", name, got)
		}
	}
}

func TestSurroundingsAreThoseOfTheBundle(t *testing.T) {
	if got := Surroundings(nil); got.Platform != "" || got.Bundle != "" {
		t.Errorf("without a bundle: %+v", got)
	}
	b := &bundle.Bundle{Path: "b.tar.zst"}
	b.Platform = "linux/arm64"
	if got := Surroundings(b); got.Platform != "linux/arm64" || got.Bundle != "b.tar.zst" {
		t.Errorf("with one: %+v", got)
	}
}

// A host that is gone is given up with what keeps it out, where anything does.
func TestWhoIsGivenUpIsToldOf(t *testing.T) {
	away := errors.New("no route to host")
	f := &fleet.Fleet{Order: []string{"a", "b", "c"}, Members: map[string]*fleet.Member{
		"a": {Spec: spec.Host{Name: "a", Address: "192.0.2.1"}, Host: hosttest.NewModel("a", "192.0.2.1"), Status: fleet.Status{State: fleet.Pending}},
		"b": {Spec: spec.Host{Name: "b", Address: "192.0.2.2"}, Status: fleet.Status{State: fleet.Unknown, Err: away}},
		"c": {Spec: spec.Host{Name: "c", Address: "192.0.2.3"}, Status: fleet.Status{State: fleet.Unknown, Err: away}},
	}}
	GiveUp(f, f.Members["c"], RevokedWorker)
	Abandon(&fleet.Fleet{Order: []string{"a"}, Members: f.Members})
	if f.Members["a"].Status.State != fleet.Pending || f.Members["c"].Status.State != fleet.Gone {
		t.Errorf("a is %s, c is %s", f.Members["a"].Status.State, f.Members["c"].Status.State)
	}
	f.Order = []string{"a", "b"}
	Abandon(f)
	want := []string{
		"c (192.0.2.3) was taken out of the cluster, but not cleaned: it could not be reached. " + RevokedWorker + " The last attempt said: no route to host",
		"b (192.0.2.2) was taken out of the cluster, but not cleaned: it could not be reached. " + notRevoked + " The last attempt said: no route to host",
	}
	if got := f.Report().Warnings; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("told %q", got)
	}
}
