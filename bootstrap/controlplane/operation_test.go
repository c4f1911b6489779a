package controlplane

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// readable is a host that has files only.
type readable struct {
	host.Host
	files map[string]string
	err   error
}

func (r readable) ReadFiles(_ context.Context, paths ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, p := range paths {
		if data, ok := r.files[p]; ok {
			out[p] = []byte(data)
		}
	}
	return out, r.err
}

func (readable) Close() error { return nil }

// WriteFiles writes into what is read, which each host has for itself.
func (r readable) WriteFiles(_ context.Context, files ...host.File) error {
	for _, f := range files {
		r.files[f.Path] = string(f.Data)
	}
	return nil
}

// fleetOf are hosts by name; nil is one that is not reached.
func fleetOf(t *testing.T, hosts map[string]*readable) *fleet.Fleet {
	t.Helper()
	var c fleet.Config
	c.Connect = func(_ context.Context, h spec.Host) (host.Host, error) {
		if r := hosts[h.Name]; r != nil {
			return *r, nil
		}
		return nil, errors.New("no route to host")
	}
	var list []spec.Host
	for name := range hosts {
		list = append(list, spec.Host{Name: name, Address: "of-" + name})
	}
	return fleet.Connect(t.Context(), c, list)
}

func identityOf(id, node string) string {
	return "clusterID: " + id + "\nclusterName: demo\nnodeName: " + node + "\nroles: [master]\n"
}

// TestWhichIDAClusterGets: that of a create that was cut, else a new one, and none when a
// host is another's or cannot be asked.
func TestWhichIDAClusterGets(t *testing.T) {
	begun := &readable{files: map[string]string{install.IdentityFile: identityOf("old", "m2")}}
	for name, tc := range map[string]struct {
		hosts map[string]*readable
		id    string
		says  string
	}{
		"bare hosts":            {map[string]*readable{"m1": {}, "m2": {}}, "new", ""},
		"a create that was cut": {map[string]*readable{"m1": {}, "m2": begun}, "old", ""},
		"one is not reached":    {map[string]*readable{"m1": nil, "m2": begun}, "old", ""},
		"one is another's":      {map[string]*readable{"m1": {files: map[string]string{install.IdentityFile: identityOf("x", "m9")}}, "m2": {}}, "", "m1 (of-m1) is already node"},
		"one is lost":           {map[string]*readable{"m1": {err: errors.New("cut")}, "m2": {}}, "", "m1 (of-m1): read its identity: cut"},
		"one is garbled":        {map[string]*readable{"m1": {files: map[string]string{install.IdentityFile: ":"}}}, "", "read its identity"},
	} {
		o := &Operation{Config: Config{NewID: func() string { return "new" }}, Want: cluster("m1", "m2"), masters: fleetOf(t, tc.hosts)}
		err := o.Identify(t.Context())
		if o.Want.ID != tc.id || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %q, %v", name, o.Want.ID, err)
		}
	}
}

// TestACreateNeedsAMaster that came up.
func TestACreateNeedsAMaster(t *testing.T) {
	failed := errors.New("it did not start")
	for name, tc := range map[string]struct {
		states map[string]fleet.State
		up     bool
	}{
		"none":       {map[string]fleet.State{"m1": fleet.Pending, "m2": fleet.Unknown}, false},
		"one of two": {map[string]fleet.State{"m1": fleet.Pending, "m2": fleet.Ready}, true},
		"all":        {map[string]fleet.State{"m1": fleet.Ready}, true},
	} {
		hosts := map[string]*readable{}
		for m := range tc.states {
			hosts[m] = &readable{}
		}
		o := &Operation{Want: cluster("m1"), masters: fleetOf(t, hosts)}
		for m, state := range tc.states {
			o.masters.Members[m].Status = fleet.Status{State: state, Err: failed}
		}
		if err := o.CheckUp(t.Context()); (err == nil) != tc.up || err != nil && !errors.Is(err, failed) || !o.ended {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsReportedOfMasters(t *testing.T) {
	empty := &Operation{}
	if r := empty.Report(); r.Hosts != nil || r.ClusterID != "" {
		t.Errorf("before anything: %+v", r)
	}
	empty.Close()
	ca, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	reached := &access.Access{Trust: install.Authorities{CA: ca}}
	for name, tc := range map[string]struct {
		access *access.Access
		ended  bool
		hosts  int
		id     string
	}{
		"in between":              {reached, false, 1, ""},
		"at its end":              {reached, true, 2, "id"},
		"without its authorities": {nil, true, 2, ""},
	} {
		o := &Operation{Want: cluster("m1"), masters: fleetOf(t, map[string]*readable{"m1": {}}), leaving: fleetOf(t, map[string]*readable{"m2": nil}), access: tc.access}
		o.Want.ID = "id"
		if tc.ended {
			if err := o.End(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if r := o.Report(); len(r.Hosts) != tc.hosts || r.ClusterID != tc.id || (r.CAFingerprint != "") != (tc.id != "") {
			t.Errorf("%s: %+v", name, r)
		}
		o.Close()
	}
}

func TestANameMovesOnceItIsFree(t *testing.T) {
	for state, free := range map[fleet.State]bool{fleet.Gone: true, fleet.Pending: false, fleet.Unknown: false} {
		o := &Operation{leaving: fleetOf(t, map[string]*readable{"m1": nil}), removals: removals{moving: []string{"m1"}}}
		o.leaving.Members["m1"].Status = fleet.Status{State: state, Err: errors.New("it does not go")}
		if err := o.CheckMoved(t.Context()); (err == nil) != free || err != nil && !strings.Contains(err.Error(), "it does not go") {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// TestTheReportIsOfThoseThatTheChangeIsAbout, and the dead go first.
func TestTheReportIsOfThoseThatTheChangeIsAbout(t *testing.T) {
	o := &Operation{Want: cluster("m1", "m2"), Change: Change{Touch: []string{"m2"}, Leaving: []spec.Host{{Name: "m3"}, {Name: "m4"}}},
		masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}}), leaving: fleetOf(t, map[string]*readable{"m3": {}, "m4": nil})}
	if err := o.OrderRemovals(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.removals.first, []string{"m4"}) || !slices.Equal(o.removals.last, []string{"m3"}) || !slices.Equal(o.masters.Only, []string{"m2", "m3", "m4"}) {
		t.Errorf("%+v, report of %v", o.removals, o.masters.Only)
	}
	o.Change = Change{}
	if err := o.OrderRemovals(t.Context()); err != nil || o.masters.Only == nil {
		t.Errorf("about nobody: %v, %v", o.masters.Only, err)
	}
}

// TestWhoIsMarkedAsKnown: the masters of this cluster that are reached.
func TestWhoIsMarkedAsKnown(t *testing.T) {
	of := func(identity string) *readable {
		return &readable{files: map[string]string{install.IdentityFile: identity}}
	}
	hosts := map[string]*readable{
		"ours": of(identityOf("id", "ours")), "another's": of(identityOf("id-2", "x")), "bare": {files: map[string]string{}}, "garbage": of("x: ["), "not reached": nil,
		"not read": {files: map[string]string{install.IdentityFile: identityOf("id", "y")}, err: errors.New("no such user")},
	}
	o := &Operation{masters: fleetOf(t, hosts)}
	o.Want.ID = "id"
	if err := o.MarkKnown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, h := range hosts {
		if h == nil {
			continue
		}
		if _, marked := h.files[install.KnownFile]; marked != (name == "ours") {
			t.Errorf("%s is marked: %v", name, marked)
		}
	}
}
