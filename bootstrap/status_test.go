package bootstrap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/internal/patience"
)

// members is a store that answers for itself only.
type members struct {
	join.Store
	list []*etcdserverpb.Member
	down string
}

func (m members) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	return &clientv3.MemberListResponse{Members: m.list}, nil
}

func (m members) Status(_ context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	if endpoint == m.down {
		return nil, errors.New("connection refused")
	}
	return &clientv3.StatusResponse{Leader: 1, DbSize: 4096}, nil
}

func (m members) Close() error { return nil }

func (w *world) withMembers(m members) {
	w.engine.Store = func(string, *pki.Authority, join.Dial, time.Time) (join.Store, error) { return m, nil }
}

func TestTheStatusOfAClusterIsWhatCanBeSeenInTime(t *testing.T) {
	w, c, _ := declaredCluster(t)
	w.withMembers(members{list: []*etcdserverpb.Member{{ID: 1, Name: "m1", PeerURLs: []string{"https://192.0.2.1:2380"}, ClientURLs: []string{"a"}}}})
	s := w.engine.Status(t.Context(), c.Connection(), patience.Limit)
	if !s.Healthy() || len(s.Nodes) != 3 || !s.Members[0].Leader || s.Members[0].Bytes != 4096 {
		t.Fatalf("a healthy cluster is %+v", s)
	}
	for _, name := range []string{"ca", "apiserver", "etcd-peer", "kubelet"} {
		if left := time.Until(s.Masters[0].Expiry[name]); left < 300*24*time.Hour {
			t.Errorf("%s ends in %s: %v", name, left, s.Masters[0].Expiry)
		}
	}
	if i := slices.IndexFunc(s.Nodes, func(n NodeStatus) bool { return n.Name == "m1" }); !s.Nodes[i].Master || s.Nodes[i].Pool != "" {
		t.Errorf("nodes: %+v", s.Nodes)
	}

	// A second master hangs, a worker is lost, a member is down and one learns.
	w.change(t, "w1", func(n *corev1.Node) {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}}
	})
	w.withMembers(members{down: "b", list: []*etcdserverpb.Member{
		{ID: 1, Name: "m1", ClientURLs: []string{"a"}}, {ID: 2, Name: "m2", ClientURLs: []string{"b"}}, {ID: 3, PeerURLs: []string{"https://192.0.2.9:2380"}, IsLearner: true},
	}})
	connect := w.engine.Connect
	w.engine.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
		if h.Name == "m0" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return connect(ctx, h)
	}
	conn := c.Connection()
	conn.Masters = append([]spec.Host{{Name: "m0", Address: "192.0.2.99"}}, conn.Masters...)
	synctest.Test(t, func(t *testing.T) {
		const limit = 5 * time.Second
		start := time.Now()
		s = w.engine.Status(t.Context(), conn, limit)
		if took := time.Since(start); took != limit {
			t.Errorf("it took %s", took)
		}
	})
	if s.Healthy() || s.Masters[0].Err == nil || s.Masters[1].Err != nil || len(s.Problems) > 0 {
		t.Errorf("masters %+v, problems %v", s.Masters, s.Problems)
	}
	if m := s.Members; len(m) != 3 || !m[0].Learner || m[0].Problem != "it was never started" || m[1].Problem != "" || m[2].Problem != "connection refused" {
		t.Errorf("members %+v", m)
	}
	if i := slices.IndexFunc(s.Nodes, func(n NodeStatus) bool { return n.Problem != "" }); i < 0 || s.Nodes[i].Name != "w1" || s.Nodes[i].Pool != "p" {
		t.Errorf("nodes %+v", s.Nodes)
	}
}

func TestTheStatusSaysWhatCouldNotBeSeen(t *testing.T) {
	w, c, _ := declaredCluster(t)
	w.withMembers(members{list: []*etcdserverpb.Member{{ID: 1, Name: "m1", ClientURLs: []string{"a"}}}})
	w.api.PrependReactor("list", "nodes", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no API") })
	s := w.engine.Status(t.Context(), c.Connection(), patience.Limit)
	if s.Healthy() || len(s.Members) != 1 || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "no API") {
		t.Errorf("without an API: %+v", s)
	}
	w.engine.Connect = func(context.Context, spec.Host) (host.Host, error) { return nil, errors.New("no route to host") }
	s = w.engine.Status(t.Context(), c.Connection(), patience.Limit)
	if len(s.Problems) != 2 || s.Masters[0].Err == nil || s.Masters[0].Err.Error() != "no route to host" {
		t.Errorf("without a master: %+v", s)
	}
}

func TestTheFactsOfAHostAreThereWithAndWithoutACluster(t *testing.T) {
	w, _, _ := declaredCluster(t)
	f, err := w.engine.Facts(t.Context(), spec.Host{Name: "m1", Address: "192.0.2.1"}, true, "")
	if err != nil || f.Identity == nil || f.Identity.ClusterName != "demo" || len(f.Findings) > 0 || f.Arch != "amd64" {
		t.Errorf("a master: %+v %v", f, err)
	}
	w.hosts["bare"].Facts = "listen=192B\n" // 6443
	for _, master := range []bool{true, false} {
		f, err = w.engine.Facts(t.Context(), spec.Host{Name: "bare", Address: "192.0.2.4"}, master, "")
		if err != nil || f.Identity != nil || (len(f.Findings) == 1) != master {
			t.Errorf("a bare server, master %v: %+v %v", master, f, err)
		}
	}
	w.hosts["bare"].Facts = "storagedir=/srv\nstoragemount=tmpfs rw /srv\n"
	for storage, findings := range map[string]int{"": 0, "/srv/volumes": 1} {
		f, err = w.engine.Facts(t.Context(), spec.Host{Name: "bare", Address: "192.0.2.4"}, false, storage)
		if err != nil || len(f.Findings) != findings || f.Storage.Type != "tmpfs" {
			t.Errorf("volumes in %q: %+v %v", storage, f, err)
		}
	}
}
