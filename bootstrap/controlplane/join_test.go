package controlplane

import (
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

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
