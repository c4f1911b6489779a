package model

import (
	"errors"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/join"
)

func TestTheStatusAsTerraformHasIt(t *testing.T) {
	end := func(day int) time.Time { return time.Date(2030, 1, day, 0, 0, 0, 0, time.UTC) }
	m := ClusterStatusOf(bootstrap.ClusterStatus{
		Masters: []bootstrap.MasterStatus{
			{Name: "m1", Expiry: map[string]time.Time{"ca": end(9), "kubelet": end(3)}}, {Name: "m2", Err: errors.New("away")},
			{Name: "m3", Expiry: map[string]time.Time{"ca": end(9), "kubelet": end(5)}},
		},
		Members: []join.Member{{Name: "m1", Leader: true}, {Name: "m2", Problem: "down"}, {Name: "m3", Problem: "down"}, {PeerURL: "https://new", Learner: true}},
		Nodes:   []bootstrap.NodeStatus{{Name: "m1", Master: true}, {Name: "w1", Pool: "p", Problem: "lost"}},
	})
	if m.Healthy.ValueBool() || m.FirstExpiry.ValueString() != "2030-01-03T00:00:00Z" {
		t.Errorf("healthy %s, first expiry %s", m.Healthy, m.FirstExpiry)
	}
	if m.Masters["m2"].Reachable || m.Masters["m2"].Message != "away" || !m.Masters["m3"].Reachable || m.Masters["m1"].Certificates["ca"] != "2030-01-09T00:00:00Z" {
		t.Errorf("masters %+v", m.Masters)
	}
	// Of three voters one lives; the learner is none.
	if m.VotersLiving.ValueInt64() != 1 || m.VotersNeeded.ValueInt64() != 2 || m.VotersMayFail.ValueInt64() != -1 {
		t.Errorf("%s live, %s must, %s may fail", m.VotersLiving, m.VotersNeeded, m.VotersMayFail)
	}
	for name, role := range map[string]string{"m1": "leader", "m2": "follower", "https://new": "learner"} {
		if m.Members[name].Role != role {
			t.Errorf("members %+v", m.Members)
		}
	}
	if !m.Nodes["w1"].Pool.Equal(StringOrNull("p")) || m.Nodes["w1"].Ready || !m.Nodes["m1"].Ready || !m.Nodes["m1"].Pool.IsNull() {
		t.Errorf("nodes %+v", m.Nodes)
	}
}

func TestTheStatusOfAClusterThatIsWell(t *testing.T) {
	s := bootstrap.ClusterStatus{
		Masters: []bootstrap.MasterStatus{{Name: "m1", Address: "a"}},
		Members: []join.Member{{Name: "m1", Leader: true, PeerURL: "https://m1", Bytes: 7}, {Name: "m2"}, {Name: "m3"}},
		Nodes:   []bootstrap.NodeStatus{{Name: "m1", Master: true, Address: "a", Version: "1"}},
	}
	m := ClusterStatusOf(s)
	if !m.Healthy.ValueBool() || m.Problems == nil || !m.FirstExpiry.IsNull() || m.VotersLiving.ValueInt64() != 3 || m.VotersNeeded.ValueInt64() != 2 || m.VotersMayFail.ValueInt64() != 1 {
		t.Errorf("%+v", m)
	}
	if got := m.Members["m1"]; got != (MemberStatus{Role: "leader", Healthy: true, PeerURL: "https://m1", Bytes: 7}) {
		t.Errorf("member %+v", got)
	}
	if got := m.Nodes["m1"]; got != (NodeStatus{Ready: true, Master: true, Address: "a", Version: "1"}) {
		t.Errorf("node %+v", got)
	}
	if got := m.Masters["m1"]; !got.Reachable || got.Address != "a" || got.Message != "" || got.Certificates == nil {
		t.Errorf("master %+v", got)
	}
}

// It is not known that etcd has lost its quorum where no member was seen.
func TestTheStatusOfAClusterThatIsNotSeen(t *testing.T) {
	m := ClusterStatusOf(bootstrap.ClusterStatus{Problems: []string{"a", "b"}})
	if m.Healthy.ValueBool() || len(m.Problems) != 2 || !m.VotersLiving.IsNull() || !m.VotersNeeded.IsNull() || !m.VotersMayFail.IsNull() || m.Nodes == nil || m.Members == nil || m.Masters == nil {
		t.Errorf("%+v", m)
	}
}
