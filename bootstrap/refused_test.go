package bootstrap

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// loseData has the etcd of a host refuse to start, as it does with less data than it had.
func (w *world) loseData(t *testing.T, name string) {
	t.Helper()
	err := w.hosts[name].WriteFiles(t.Context(), host.File{Path: config.EtcdRefusedFile, Data: []byte("the data directory is empty\n"), Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAMemberThatLostItsDataIsReplaced: the plan says so, and the next apply takes the
// member out, adds it as a learner and promotes it, whichever master it is.
func TestAMemberThatLostItsDataIsReplaced(t *testing.T) {
	for _, name := range []string{"m1", "m3"} {
		w := newWorld(t, smallBundle(t), "m1", "m2", "m3")
		c := w.createAll(t, "m1", "m2", "m3")
		before := w.memberID(name)
		w.loseData(t, name)
		r := w.engine.ObserveCluster(t.Context(), c)
		if s := r.Hosts[name]; s.State != Drifted || !strings.Contains(s.Message, "does not start and is replaced: the data directory is empty") {
			t.Errorf("%s is %s: %s", name, s.State, s.Message)
		}
		status := w.engine.Status(t.Context(), c.Connection(), time.Minute)
		if i := slices.IndexFunc(status.Masters, func(m MasterStatus) bool { return m.Refused != nil }); i < 0 || status.Masters[i].Name != name || status.Healthy() {
			t.Errorf("%s: the status is %+v", name, status.Masters)
		}
		r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{name}})
		succeed(t, r, err)
		if after := w.memberID(name); after == before || after == 0 {
			t.Errorf("%s was member %d and is %d", name, before, after)
		}
		files, err := w.hosts[name].ReadFiles(t.Context(), config.EtcdRefusedFile, install.JoinedFile, config.Etcd.ConfigFile())
		if err != nil || len(files[config.EtcdRefusedFile]) > 0 || len(files[install.JoinedFile]) == 0 || !strings.Contains(string(files[config.Etcd.ConfigFile()]), "existing") {
			t.Errorf("%s has %q, %v", name, files, err)
		}
		w.ready(t, w.engine.ObserveCluster(t.Context(), c))
	}
}

func TestTheOnlyMemberIsNotReplaced(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	w.loseData(t, "m1")
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	if err == nil && len(r.Failed()) == 0 {
		t.Error("a store of which nothing is left was started anew")
	}
	if files, err := w.hosts["m1"].ReadFiles(t.Context(), config.EtcdRefusedFile, install.JoinedFile); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}

// memberID is that of the voter on a host; 0 when it is none.
func (w *world) memberID(name string) uint64 {
	return w.store.Voter(install.PeerURL(spec.Host{Address: w.hosts[name].Address}))
}
