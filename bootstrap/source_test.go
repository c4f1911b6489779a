package bootstrap

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
)

// memberOfStore is the store as one of its members answers: one without a vote lists no
// others and changes nothing.
type memberOfStore struct {
	*voters
	url string // its peer URL
	// cut: nobody is promoted.
	cut *bool
}

func (m memberOfStore) MemberList(ctx context.Context, opts ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	list, err := m.voters.MemberList(ctx, opts...)
	for _, other := range list.Members {
		if other.IsLearner && other.PeerURLs[0] == m.url {
			return nil, rpctypes.ErrGRPCNotSupportedForLearner
		}
	}
	return list, err
}

func (m memberOfStore) MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	if *m.cut {
		return nil, errors.New("cut")
	}
	return m.voters.MemberPromote(ctx, id)
}

// A master that was cut between its start and its vote comes first by its name, and
// is no source for whoever goes on with it.
func TestAMasterWithoutAVoteIsNoSource(t *testing.T) {
	w := newWorld(t, smallBundle(t), "a1", "m1", "m2")
	cut := true
	w.engine.Store = func(endpoint string, _ *pki.Authority, _ join.Dial, _ time.Time) (join.Store, error) {
		for _, h := range w.spec("a1", "m1", "m2") {
			if install.ClientURL(h) == endpoint {
				return memberOfStore{w.store, install.PeerURL(h), &cut}, nil
			}
		}
		return nil, errors.New("no member is at " + endpoint)
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

	via, _, err := w.engine.reach(t.Context(), c.Connection())
	if err != nil {
		t.Fatal(err)
	}
	defer via.close()
	if via.source != "m1" {
		t.Errorf("the cluster is reached through %s", via.source)
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
		via, _, err := w.engine.reach(t.Context(), c.Connection())
		if err != nil {
			t.Fatal(err)
		}
		via.close()
		all := w.engine.connect(t.Context(), c.Masters)
		_, err = all.authorities(t.Context(), c.ID)
		all.close()
		if via.source != tc.want || all.source != tc.want || err != nil {
			t.Errorf("with the stores of %v down, it is reached through %s and changed through %s (%v), want %s", tc.down, via.source, all.source, err, tc.want)
		}
	}
}
