package bootstrap

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
)

// unpromoting is a store in which nobody is promoted as long as it is cut.
type unpromoting struct {
	join.Store
	cut *bool
}

func (s unpromoting) MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	if *s.cut {
		return nil, errors.New("cut")
	}
	return s.Store.MemberPromote(ctx, id)
}

// A master that was cut between its start and its vote comes first by its name, and
// is no source for whoever goes on with it.
func TestAMasterWithoutAVoteIsNoSource(t *testing.T) {
	w := newWorld(t, smallBundle(t), "a1", "m1", "m2")
	cut := true
	w.engine.Store = func(endpoint string, ca *pki.Authority, dial join.Dial, now time.Time) (join.Store, error) {
		s, err := w.storeThrough(endpoint, ca, dial, now)
		return unpromoting{s, &cut}, err
	}
	c := w.cluster()
	c.Masters = w.spec("m1")
	r, err := w.engine.CreateCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.Masters = r.ClusterID, w.spec("a1", "m1")
	change := ClusterChange{Touch: []string{"a1"}}
	if r, err = w.engine.UpdateCluster(t.Context(), c, change); err != nil || r.Hosts["a1"].State != Pending {
		t.Fatalf("it was not cut: %v %v", err, r.Hosts["a1"])
	}

	via, err := access.Reach(t.Context(), w.engine.access(), c.Connection())
	if err != nil {
		t.Fatal(err)
	}
	defer via.Close()
	if via.Source != "m1" {
		t.Errorf("the cluster is reached through %s", via.Source)
	}
	cut = false
	if r, err = w.engine.UpdateCluster(t.Context(), c, change); err != nil || r.Hosts["a1"].State != Ready {
		t.Errorf("the next apply: %v %v", err, r.Hosts["a1"])
	}
}

// The API server of a master whose etcd is down accepts connections and answers
// nobody: each plan would wait for it.
func TestAMasterWhoseStoreIsDownIsTheLastSource(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3")
	c := w.cluster()
	c.Masters = w.spec("m1", "m2", "m3")
	r, err := w.engine.CreateCluster(t.Context(), c)
	if err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
	c.ID = r.ClusterID
	down := func(names ...string) {
		for name, m := range w.hosts {
			m.OnDial = nil
			if slices.Contains(names, name) {
				m.OnDial = func(address string) error { return errors.New("connection refused to " + address) }
			}
		}
	}
	for _, tc := range []struct {
		down []string
		want string
	}{{nil, "m1"}, {[]string{"m1"}, "m2"}, {[]string{"m1", "m2"}, "m3"}, {[]string{"m1", "m2", "m3"}, "m1"}} {
		down(tc.down...)
		via, err := access.Reach(t.Context(), w.engine.access(), c.Connection())
		if err != nil {
			t.Fatal(err)
		}
		via.Close()
		f := fleet.Connect(t.Context(), w.engine.access().Config, c.Masters)
		all, err := access.Of(t.Context(), w.engine.access(), f, c.ID)
		f.Close()
		if via.Source != tc.want || all.Source != tc.want || err != nil {
			t.Errorf("with the stores of %v down, it is reached through %s and changed through %s (%v), want %s", tc.down, via.Source, all.Source, err, tc.want)
		}
	}
}
