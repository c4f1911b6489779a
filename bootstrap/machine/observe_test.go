package machine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

const identityOf = "clusterID: id\nclusterName: demo\nnodeName: "

// A host is told by the first thing on it that is not as it should be.
func TestWhatIsSeenOfAHost(t *testing.T) {
	trust, err := install.NewAuthorities("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authorities := map[string]string{
		config.ServiceAccountKeyFile: string(trust.ServiceAccountKey), config.ServiceAccountPublicKeyFile: string(trust.ServiceAccountPublic),
		config.CA.CertFile(): string(trust.CA.Cert), config.CA.KeyFile(): string(trust.CA.Key), config.EtcdCA.CertFile(): string(trust.EtcdCA.Cert), config.EtcdCA.KeyFile(): string(trust.EtcdCA.Key),
		config.FrontProxyCA.CertFile(): string(trust.FrontProxy.Cert), config.FrontProxyCA.KeyFile(): string(trust.FrontProxy.Key),
	}
	etcd := "name: x\ninitialClusterToken: id\ninitialCluster: {x: \"https://192.0.2.1:2380\"}\ninitialClusterState: existing\n"
	b := &bundle.Bundle{}
	files := func(all ...map[string]string) map[string]string {
		out := map[string]string{install.IdentityFile: identityOf + "x\nroles: [worker]\n"}
		for _, m := range all {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	for what, tc := range map[string]struct {
		master bool
		bundle *bundle.Bundle
		files  map[string]string
		listed *Listed
		state  fleet.State
		says   string
		not    string
		known  bool
	}{
		"a bare host":            {false, b, nil, nil, fleet.Absent, "nothing of the cluster is on the host", "", false},
		"another cluster's":      {false, b, files(map[string]string{install.IdentityFile: "clusterID: other\nnodeName: x\n"}), nil, fleet.Drifted, "other", "", false},
		"one that is spoilt":     {false, b, files(map[string]string{install.IdentityFile: "["}), nil, fleet.Unknown, "host.yaml", "", false},
		"a worker, no bundle":    {false, nil, files(), nil, fleet.Unknown, "no bundle is configured", "", false},
		"a master, no bundle":    {true, nil, files(), nil, fleet.Unknown, "no bundle is configured", "", true},
		"a worker without a CA":  {false, b, files(), nil, fleet.Drifted, config.CA.CertFile() + ": ", "", false},
		"a master without a key": {true, b, files(), nil, fleet.Drifted, "does not hold the cluster's authorities", "", true},
		"a master without etcd":  {true, b, files(authorities), nil, fleet.Drifted, config.Etcd.ConfigFile() + " is missing or was changed", "its member", true},
		"a master":               {true, b, files(authorities, map[string]string{config.Etcd.ConfigFile(): etcd}), nil, fleet.Drifted, config.Kubelet.Unit(), "its member", true},
		"a member that was refused": {true, b, files(authorities, map[string]string{config.Etcd.ConfigFile(): etcd, config.EtcdRefusedFile: "its data is old\n"}), nil, fleet.Drifted,
			"its member of etcd does not start and is replaced: its data is old; ", "", true},
		"a worker":                     {false, b, files(authorities), nil, fleet.Drifted, config.Kubelet.Unit(), "its Node", false},
		"a worker with a file of etcd": {false, b, files(authorities, map[string]string{config.EtcdRefusedFile: "x"}), nil, fleet.Drifted, config.Kubelet.Unit(), "its member", false},
		"a worker without a Node":      {false, b, files(authorities), &Listed{}, fleet.Drifted, "its Node is missing", "", false},
		"without a Node and spoilt":    {false, b, files(map[string]string{install.IdentityFile: "["}), &Listed{}, fleet.Unknown, "host.yaml", "its Node", false},
	} {
		m := hosttest.NewModel("x", "192.0.2.1")
		for path, data := range tc.files {
			m.SetFile(path, data)
		}
		m.SetFile("/var/lib/gantry/bootstrap/x", "") // its directory is there
		l := lifecycle(map[string]*hosttest.Model{"x": m, "unnamed": hosttest.NewModel("unnamed", "192.0.2.3")}, nil)
		l.Bundle = tc.bundle
		h := spec.Host{Name: "x", Address: "192.0.2.1", SSH: spec.SSH{HostKey: "key"}}
		f := fleet.Connect(t.Context(), l.Config.Config, []spec.Host{h, {Name: "away", Address: "192.0.2.2"}, {Name: "unnamed", Address: "192.0.2.3"}})
		l.Observe(t.Context(), f, tc.listed, func(name string) (spec.Node, bool) {
			return spec.Node{
				ClusterID: "id", ClusterName: "demo", Host: f.Members[name].Spec, Master: tc.master, Servers: []string{"192.0.2.1:6443"},
				Network: spec.Network{PodCIDRs: addr.MustPrefixes(spec.DefaultPodCIDR), ServiceCIDRs: addr.MustPrefixes(spec.DefaultServiceCIDR), DNSDomain: spec.DefaultDNSDomain},
			}, name != "unnamed"
		})
		got := f.Members["x"].Status
		if got.State != tc.state || !strings.Contains(got.Message, tc.says) || tc.not != "" && strings.Contains(got.Message, tc.not) || got.HostKey != "key" {
			t.Errorf("%s: %+v", what, got)
		}
		if f.Members["away"].Status.Message != "no route to host" || f.Members["unnamed"].Status.State != fleet.Pending {
			t.Errorf("%s: others are %+v and %+v", what, f.Members["away"].Status, f.Members["unnamed"].Status)
		}
		if err := m.WriteFiles(t.Context(), host.File{Path: "/x"}); err != nil {
			t.Fatal(err)
		}
		wrote := strings.Contains(strings.Join(m.Changes(), "\n"), install.KnownFile)
		if wrote != tc.known {
			t.Errorf("%s: marked as known %t", what, wrote)
		}
	}
}

// The version of a host is what it says itself, or else what its Node says; it is not that
// of another node's.
func TestTheVersionThatIsSeenOfAHost(t *testing.T) {
	trust, err := install.NewAuthorities("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	node.Status.NodeInfo.KubeletVersion = "v1.37.2+gantry.1.2.2"
	listed := &Listed{nodes: map[string]*corev1.Node{"x": node}}
	for what, tc := range map[string]struct {
		identity, version string
		listed            *Listed
		want              string
	}{
		"it says so":                 {identityOf + "x\n", "1.2.3\n", nil, "1.2.3"},
		"it says so, and its Node":   {identityOf + "x\n", "1.2.3\n", listed, "1.2.3"},
		"its Node says so":           {identityOf + "x\n", "", listed, "1.2.2"},
		"nobody says so":             {identityOf + "x\n", "", &Listed{}, ""},
		"another's":                  {"clusterID: other\nnodeName: x\n", "1.2.3\n", listed, ""},
		"nothing of the cluster yet": {"", "1.2.3\n", listed, ""},
	} {
		m := hosttest.NewModel("x", "192.0.2.1")
		m.SetFile(config.CA.CertFile(), string(trust.CA.Cert))
		for path, data := range map[string]string{install.IdentityFile: tc.identity, install.VersionFile: tc.version} {
			if data != "" {
				m.SetFile(path, data)
			}
		}
		l := lifecycle(map[string]*hosttest.Model{"x": m}, nil)
		l.Bundle = &bundle.Bundle{}
		f := fleet.Connect(t.Context(), l.Config.Config, []spec.Host{{Name: "x", Address: "192.0.2.1"}})
		l.Observe(t.Context(), f, tc.listed, func(name string) (spec.Node, bool) {
			return spec.Node{
				ClusterID: "id", ClusterName: "demo", Host: f.Members[name].Spec, Servers: []string{"192.0.2.1:6443"},
				Network: spec.Network{PodCIDRs: addr.MustPrefixes(spec.DefaultPodCIDR), ServiceCIDRs: addr.MustPrefixes(spec.DefaultServiceCIDR), DNSDomain: spec.DefaultDNSDomain},
			}, true
		})
		if got := f.Report().Hosts["x"]; got.Version != tc.want || got.State == fleet.Unknown {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestAKnownMasterIsNotMarkedAgain(t *testing.T) {
	m := hosttest.NewModel("x", "192.0.2.1")
	MarkKnown(t.Context(), &fleet.Member{Host: m}, install.Identity{ClusterID: "id", Known: true})
	if len(m.Changes()) > 0 {
		t.Errorf("%v", m.Changes())
	}
	MarkKnown(t.Context(), &fleet.Member{Host: m}, install.Identity{ClusterID: "id"})
	if len(m.Changes()) != 1 {
		t.Errorf("%v", m.Changes())
	}
}

// A host is wiped that is the cluster's, or nobody's, and never another's.
func TestWhoIsWiped(t *testing.T) {
	for what, tc := range map[string]struct {
		identity, cluster string
		wiped             bool
	}{
		"its own": {identityOf + "x\n", "id", true}, "another's": {identityOf + "x\n", "other", false}, "of a cluster that is not known": {identityOf + "x\n", "", true},
		"nobody's": {"", "id", true}, "a spoilt one": {"[", "id", true},
	} {
		model := hosttest.NewModel("x", "192.0.2.1")
		if tc.identity != "" {
			model.SetFile(install.IdentityFile, tc.identity)
		}
		model.SetFile(config.CA.CertFile(), "ca")
		if _, err := model.Run(t.Context(), host.Shell("make-dirs", "", "0755", config.ConfigDir)); err != nil {
			t.Fatal(err)
		}
		m := &fleet.Member{Host: model, Spec: spec.Host{Name: "x"}}
		err := lifecycle(nil, nil).Wipe(t.Context(), m, tc.cluster)
		var foreign *install.ForeignError
		if (err == nil) != tc.wiped || !tc.wiped && !errors.As(err, &foreign) || (m.Status.State == fleet.Gone) != tc.wiped || (model.File(config.CA.CertFile()) == "") != tc.wiped {
			t.Errorf("%s: %v, %s, has %v", what, err, m.Status.State, model.Paths())
		}
	}
}

// Whether a node is not Ready because the disk of its server is full is asked, as long as
// there is time.
func TestAFullDiskIsToldWhereANodeDoesNotComeUp(t *testing.T) {
	n := spec.Node{ClusterID: "id", Host: spec.Host{Name: "x", Address: "192.0.2.1"}}
	away := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	for what, tc := range map[string]struct {
		full, over bool
		want       bool
	}{"full": {true, false, true}, "not full": {false, false, false}, "the time is over": {true, true, false}} {
		model := hosttest.NewModel("x", "192.0.2.1")
		model.NoRoom = tc.full
		ctx, cancel := context.WithCancel(t.Context())
		if tc.over {
			cancel()
		}
		err := lifecycle(nil, nil).FinishJoin(ctx, &fleet.Member{Host: model, Spec: n.Host}, n, fake.NewClientset(away))
		cancel()
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "space") != tc.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := lifecycle(nil, nil).Input(&fleet.Member{Spec: n.Host}, n, install.Authorities{}, time.Time{}); err == nil || !strings.Contains(err.Error(), "no bundle is configured") {
		t.Errorf("%v", err)
	}
}
