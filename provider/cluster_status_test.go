package provider

import (
	"errors"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/join"
)

func TestTheStatusAsTerraformHasIt(t *testing.T) {
	end := func(day int) time.Time { return time.Date(2030, 1, day, 0, 0, 0, 0, time.UTC) }
	m := statusModel(bootstrap.ClusterStatus{
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
	if !m.Nodes["w1"].Pool.Equal(orNull("p")) || m.Nodes["w1"].Ready || !m.Nodes["m1"].Ready || !m.Nodes["m1"].Pool.IsNull() {
		t.Errorf("nodes %+v", m.Nodes)
	}
}
