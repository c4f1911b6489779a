package controlplane

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
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

// TestWhoseKeysAreRead: those of reached masters of this cluster that have the file; what
// cannot be read stops the operation, as it may be the only copy of a key.
func TestWhoseKeysAreRead(t *testing.T) {
	plan, err := encryption.First("key-0", encryption.NewKey)
	if err != nil {
		t.Fatal(err)
	}
	file, err := plan.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	with := func(id string, content string) *readable {
		r := &readable{files: map[string]string{}}
		if id != "" {
			r.files[install.IdentityFile] = identityOf(id, "m")
		}
		if content != "-" {
			r.files[config.EncryptionConfigFile] = content
		}
		return r
	}
	for name, tc := range map[string]struct {
		hosts map[string]*readable
		want  []string
		says  string
	}{
		"masters of the cluster": {map[string]*readable{"m1": with("id", string(file)), "m2": with("id", string(file))}, []string{"m1", "m2"}, ""},
		"one without the file":   {map[string]*readable{"m1": with("id", string(file)), "m2": with("id", "-")}, []string{"m1"}, ""},
		"an empty one":           {map[string]*readable{"m1": with("id", "")}, nil, ""},
		"one of another cluster": {map[string]*readable{"m1": with("other", string(file))}, nil, ""},
		"a bare host":            {map[string]*readable{"m1": with("", string(file))}, nil, ""},
		"one that is away":       {map[string]*readable{"m1": nil}, nil, ""},
		"one that is garbled":    {map[string]*readable{"m1": with("id", "x: y")}, nil, "copy the file of another master"},
		"an identity that is":    {map[string]*readable{"m1": {files: map[string]string{install.IdentityFile: ":"}}}, nil, "m1 (of-m1)"},
		"one that is lost":       {map[string]*readable{"m1": {err: errors.New("cut")}}, nil, "cut"},
	} {
		got, err := readEncryption(t.Context(), fleetOf(t, tc.hosts), "id")
		var from []string
		for m := range got {
			from = append(from, m)
		}
		slices.Sort(from)
		if !slices.Equal(from, tc.want) || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, %v", name, from, err)
		}
	}
}

func TestSecretsAreEncryptedAnewBetweenTwoKeys(t *testing.T) {
	for stage, want := range map[encryption.Stage]bool{encryption.Absent: false, encryption.Reads: true, encryption.Writes: true, encryption.Alone: false} {
		if got := Encrypts(&Operation{encryption: encryption.Plan{Stage: stage}}); got != want {
			t.Errorf("stage %d: %v", stage, got)
		}
	}
}

func TestAnotherKeyWaitsForAllMasters(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		joined  map[string]error
		leaving fleet.State
		says    string
	}{
		"all are there":         {map[string]error{"m1": nil, "m2": nil}, fleet.Gone, ""},
		"one failed":            {map[string]error{"m1": nil, "m2": failed}, fleet.Gone, "master m2"},
		"one is not gone to":    {map[string]error{"m1": nil}, fleet.Gone, "master m2"},
		"one has not left":      {map[string]error{"m1": nil, "m2": nil}, fleet.Pending, "master m3 (of-m3) has not left"},
		"one could not be seen": {map[string]error{"m1": nil, "m2": nil}, fleet.Unknown, "master m3 (of-m3) has not left"},
	} {
		o := &Operation{Want: cluster("m1", "m2"), leaving: fleetOf(t, map[string]*readable{"m3": nil}), join: joining{masters: map[string]*joiner{}}}
		o.leaving.Members["m3"].Status.State = tc.leaving
		for m, err := range tc.joined {
			o.join.masters[m] = &joiner{Member: &fleet.Member{Status: fleet.Status{Err: err}}}
		}
		if err := waitForAll(o, "key-1"); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
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

// TestWhoIsToldThatKeysWait: the masters that were gone through, but for those that have a
// failure of their own.
func TestWhoIsToldThatKeysWait(t *testing.T) {
	failed := errors.New("it did not start")
	o := &Operation{Want: cluster("m1", "m2"), masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}}), leaving: fleetOf(t, nil), join: joining{order: []string{"m1", "m2"}, masters: map[string]*joiner{}}}
	for name, m := range o.masters.Members {
		o.join.masters[name] = &joiner{Member: m}
	}
	o.masters.Members["m2"].Settle(failed)
	if err := o.Encrypt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.masters.Members["m1"].Status.Err; err == nil || !strings.Contains(err.Error(), "master m2") {
		t.Errorf("m1: %v", err)
	}
	if err := o.masters.Members["m2"].Status.Err; !errors.Is(err, failed) {
		t.Errorf("m2: %v", err)
	}
}

// TestOneThatFailedHoldsUpNobodyUnseen: those behind it are told that they wait.
func TestOneThatFailedHoldsUpNobodyUnseen(t *testing.T) {
	failed := errors.New("unfit")
	o := &Operation{
		Want: cluster("m1", "m2"), masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}}), access: &access.Access{},
		identities: map[string]*install.Identity{"m1": {}}, join: joining{order: []string{"m1", "m2"}, masters: map[string]*joiner{}},
	}
	for name, m := range o.masters.Members {
		o.join.masters[name] = &joiner{Member: m, node: spec.Node{Host: m.Spec}}
	}
	o.masters.Members["m1"].Status.Err = failed
	if err := o.JoinEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.masters.Members["m1"].Status.Err; !errors.Is(err, failed) {
		t.Errorf("m1: %v", err)
	}
	if err := o.masters.Members["m2"].Status.Err; err == nil || !strings.Contains(err.Error(), "waits for master m1") {
		t.Errorf("m2: %v", err)
	}
}

// TestAMasterWithoutItsDataHoldsUpTheOthers: each of those behind it is told for what it
// waits, by whether they have a place in etcd and have served.
func TestAMasterWithoutItsDataHoldsUpTheOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		member, served bool // of the first
		last           string
	}{
		"it never joined":                   {false, false, "waits for master m1, which has to join etcd first"},
		"it is a member and never served":   {true, false, "waits for master m1, which may hold the cluster's data"},
		"it is a member and served earlier": {true, true, "waits for master m1, which did not come up"},
	} {
		t.Run(name, func(t *testing.T) {
			order := []string{"m1", "m2", "m3"}
			o := &Operation{
				Want: cluster(order...), masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}, "m3": {}}), access: &access.Access{},
				identities: map[string]*install.Identity{"m1": {}}, join: joining{order: order, masters: map[string]*joiner{}},
			}
			o.masters.Order = order
			for name, m := range o.masters.Members {
				j := &joiner{Member: m, node: spec.Node{Host: m.Spec, ClusterID: "id"}}
				j.Files = map[string][]byte{}
				if name == "m1" {
					j.Files[config.EtcdRefusedFile] = []byte("the data is gone")
				}
				if tc.member {
					url := install.PeerURL(m.Spec)
					file, err := yaml.Marshal(config.EtcdConfig{Name: name, InitialClusterToken: "id", InitialCluster: map[string]string{name: url}})
					if err != nil {
						t.Fatal(err)
					}
					j.Files[config.Etcd.ConfigFile()] = file
				}
				if tc.served {
					j.Files[install.JoinedFile] = []byte("x")
				}
				o.join.masters[name] = j
			}
			if err := o.JoinEtcd(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := o.masters.Members["m1"].Status.Err; err == nil || !strings.Contains(err.Error(), "restore a snapshot") || !strings.HasSuffix(err.Error(), ". the data is gone") {
				t.Errorf("m1: %v", err)
			}
			for _, m := range order[1:] {
				if err := o.masters.Members[m].Status.Err; err == nil || !strings.Contains(err.Error(), tc.last) {
					t.Errorf("%s: %v", m, err)
				}
			}
		})
	}
}

func TestAHostThatWasRefusedIsNotPrepared(t *testing.T) {
	refused := errors.New("its disk is full")
	o := &Operation{masters: fleetOf(t, map[string]*readable{"m1": {}}), access: &access.Access{}}
	m := o.masters.Members["m1"]
	m.Refused = refused
	o.join = joining{order: []string{"m1"}, masters: map[string]*joiner{"m1": {Member: m}}}
	if err := o.Prepare(t.Context()); err != nil || !errors.Is(m.Status.Err, refused) {
		t.Errorf("%v, %v", err, m.Status.Err)
	}
}

func TestWhichMastersAreTouched(t *testing.T) {
	o := &Operation{
		Want: cluster("m1", "m2", "m3"), Change: Change{Touch: []string{"m3", "m1", "gone", "m4"}},
		masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}, "m3": {}, "m4": nil}),
	}
	o.masters.Order = []string{"m1", "m2", "m3", "m4"}
	names := func() string {
		j, wanted := touched(o)
		for _, name := range j.order {
			if j.masters[name].Member != o.masters.Members[name] || j.masters[name].node.Host.Name != name || wanted[name].Host.Name != name {
				t.Errorf("%s: %+v, %+v", name, j.masters[name], wanted[name])
			}
		}
		if len(j.masters) != len(j.order) || len(wanted) != len(j.order) {
			t.Errorf("%v: %v, %v", j.order, j.masters, wanted)
		}
		return strings.Join(j.order, " ")
	}
	if got := names(); got != "m1 m3" {
		t.Errorf("touched are %q", got)
	}
	o.Want = cluster("m1", "m2", "m4") // m3 is not wanted any more, and m4 is not reached
	if got := names(); got != "m1" {
		t.Errorf("touched are %q", got)
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

// TestWhoFailedIsNotWaitedFor: and is reported with what it failed of.
func TestWhoFailedIsNotWaitedFor(t *testing.T) {
	failed := errors.New("it did not start")
	o := &Operation{masters: fleetOf(t, map[string]*readable{"m1": {}, "m2": {}}), join: joining{order: []string{"m1", "m2"}}}
	o.masters.Members["m1"].Status = fleet.Status{State: fleet.Unknown, Err: failed}
	o.masters.Members["m2"].Status = fleet.Status{State: fleet.Unknown}
	if err := o.StartNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := o.masters.Members["m1"].Status; s.State != fleet.Pending || !errors.Is(s.Err, failed) || s.Message != failed.Error() {
		t.Errorf("m1: %+v", s)
	}
	if s := o.masters.Members["m2"].Status; s.State != fleet.Unknown || s.Err != nil {
		t.Errorf("m2: %+v", s)
	}
}
