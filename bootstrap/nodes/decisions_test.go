package nodes

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A revocation only grows, and ends with the certificates that it is about.
func TestARevocationOnlyGrows(t *testing.T) {
	// The masters sign too, by clocks of their own.
	at := func(d time.Duration) string { return pki.Begins(now).Add(time.Minute + d).Format(time.RFC3339) }
	ended := now.Add(-pki.LeafLifetime - 24*time.Hour)
	for name, tc := range map[string]struct {
		before, want map[string]string
	}{
		"the first":                {nil, map[string]string{"w1": at(0)}},
		"again, later":             {map[string]string{"w1": at(-time.Hour)}, map[string]string{"w1": at(0)}},
		"again in the second":      {map[string]string{"w1": at(0)}, map[string]string{"w1": at(time.Second)}},
		"the clock went back":      {map[string]string{"w1": at(time.Hour)}, map[string]string{"w1": at(time.Hour + time.Second)}},
		"another's is kept":        {map[string]string{"w2": at(-time.Hour)}, map[string]string{"w1": at(0), "w2": at(-time.Hour)}},
		"one that has just ended":  {map[string]string{"w2": ended.Add(-time.Second).Format(time.RFC3339)}, map[string]string{"w1": at(0)}},
		"one that has not":         {map[string]string{"w2": ended.Format(time.RFC3339)}, map[string]string{"w1": at(0), "w2": ended.Format(time.RFC3339)}},
		"one that nobody can read": {map[string]string{"w1": "x", "w2": "y"}, map[string]string{"w1": at(0), "w2": "y"}},
	} {
		got := revoke(tc.before, "w1", now)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		for node, want := range tc.want {
			if got[node] != want {
				t.Errorf("%s: %v, want %v", name, got, tc.want)
			}
		}
	}
}

func TestRevocationsAreReadAsTheyWereWritten(t *testing.T) {
	api := fake.NewSimpleClientset()
	if got, err := ReadRevoked(t.Context(), api); err != nil || got != nil {
		t.Errorf("none: %v %v", got, err)
	}
	for _, node := range []string{"w1", "w2"} {
		if err := Revoke(t.Context(), api, node, now); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadRevoked(t.Context(), api)
	if err != nil || len(got) != 2 || !got["w1"].Equal(pki.Begins(now).Add(time.Minute)) {
		t.Errorf("got %v %v", got, err)
	}
	maps := api.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	cm, err := maps.Get(t.Context(), "gantry-released-nodes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["w3"] = "yesterday"
	if _, err := maps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRevoked(t.Context(), api); err == nil || !strings.Contains(err.Error(), "node w3") || !strings.Contains(err.Error(), "mend or remove the entry") {
		t.Errorf("an entry that nobody can read: %v", err)
	}
}

func node(change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", Annotations: map[string]string{}}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "x"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}
	change(n)
	return n
}

func TestWhoseANodeIs(t *testing.T) {
	leaving := spec.Host{Name: "w1", Address: "192.0.2.1", NodeIPs: addr.MustIPs("10.0.0.1")}
	told := func(address string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Annotations[HostAnnotation] = DeclarationOf(spec.Node{Host: spec.Host{Address: address}})
		}
	}
	moved := func(more func(*corev1.Node)) func(*corev1.Node) {
		return func(n *corev1.Node) { more(n); n.Status.Addresses[1].Address = "10.0.0.2" }
	}
	for name, tc := range map[string]struct {
		change  func(*corev1.Node)
		answers bool
		want    bool
	}{
		"its own, as declared":                     {told("192.0.2.1"), false, false},
		"its own, whatever its address is now":     {moved(told("192.0.2.1")), false, false},
		"its own, of before declarations":          {func(*corev1.Node) {}, false, false},
		"of before declarations, with another IP":  {moved(func(*corev1.Node) {}), true, true},
		"declared elsewhere, with another IP":      {moved(told("192.0.2.2")), true, true},
		"declared elsewhere, same IP, it answers":  {told("192.0.2.2"), true, false},
		"declared elsewhere, same IP, it does not": {told("192.0.2.2"), false, true},
		"it has told no address":                   {func(n *corev1.Node) { n.Status.Addresses = nil }, false, false},
	} {
		if got := ofAnother(node(tc.change), leaving, tc.answers); got != tc.want {
			t.Errorf("%s: of another %t", name, got)
		}
	}
}

func TestADeclarationIsReadAsItWasKept(t *testing.T) {
	want := spec.Node{Host: spec.Host{Name: "w1", Address: "192.0.2.1", SSH: spec.SSH{Port: 22, HostKey: "secret-ish"}}, Kubelet: spec.Kubelet{MaxPods: 7}}
	n := node(func(*corev1.Node) {})
	n.Annotations = nil
	if !declare(n, want) || declare(n, want) {
		t.Error("a declaration is kept when it differs, and only then")
	}
	if d := Declared(n); d.Address != "192.0.2.1" || d.SSH.Port != 22 || d.SSH.HostKey != "" || d.Kubelet.MaxPods != 7 || d.Name != "w1" {
		t.Errorf("declared is %+v", d)
	}
	for _, kept := range []string{"", "{", "{}"} {
		n.Annotations[HostAnnotation] = kept
		if d := Declared(n); d.Address != "10.0.0.1" || d.Name != "w1" {
			t.Errorf("of %q declared is %+v", kept, d)
		}
	}
}

func TestTheTaintsOfTheCluster(t *testing.T) {
	for key, want := range map[string]bool{
		"node.kubernetes.io/unreachable": true, "kubernetes.io/x": true, "k8s.io/x": true, "a.k8s.io/x": true,
		"example.org/x": false, "kubernetes.io": false, "x": false, "notkubernetes.io/x": false, "notk8s.io/x": false,
	} {
		if got := system(key); got != want {
			t.Errorf("%s: %t", key, got)
		}
	}
}

func TestDriftOfANodeInWords(t *testing.T) {
	want := spec.Node{Host: spec.Host{Name: "w1"}, Labels: map[string]string{"a": "1"}, Annotations: map[string]string{"note": "1"},
		Taints: []spec.Taint{{Key: "k", Value: "v", Effect: "NoSchedule"}}}
	applied := node(func(*corev1.Node) {})
	reconcile(applied, want)
	if got := Drift(applied, want); len(got) > 0 {
		t.Fatalf("what was applied differs: %q", got)
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Node)
		want   []string
	}{
		"another's label": {func(n *corev1.Node) { n.Labels["b"] = "2" }, nil},
		"a label is lost": {func(n *corev1.Node) { delete(n.Labels, "a") }, []string{"its Node: label a is missing"}},
		"a label differs": {func(n *corev1.Node) { n.Labels["a"] = "2" }, []string{`its Node: label a is "2" instead of "1"`}},
		"an annotation":   {func(n *corev1.Node) { n.Annotations["note"] = "" }, []string{`its Node: annotation note is "" instead of "1"`}},
		"a taint's value": {func(n *corev1.Node) { n.Spec.Taints[0].Value = "" }, []string{`its Node: taint k:NoSchedule has value "" instead of "v"`}},
		"a taint is lost": {func(n *corev1.Node) { n.Spec.Taints = nil }, []string{"its Node: taint k:NoSchedule is missing"}},
		"a foreign taint": {func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "x", Effect: "NoExecute"})
		}, []string{"its Node: taint x:NoExecute is not of the configuration"}},
		"a cluster's taint": {func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "node.kubernetes.io/x"}) }, nil},
		"our cordon":        {func(n *corev1.Node) { n.Annotations[drain.CordonAnnotation] = "true" }, []string{"its Node: is still cordoned by a removal that was given up"}},
		"our record":        {func(n *corev1.Node) { delete(n.Annotations, AppliedAnnotation) }, []string{"its Node: annotation gantry.run/applied differs"}},
		"no longer wanted":  {func(n *corev1.Node) { *n = *older(n) }, []string{"its Node: label old is no longer wanted", "its Node: taint old:NoExecute is no longer wanted"}},
	} {
		n := applied.DeepCopy()
		tc.change(n)
		before := n.DeepCopy()
		if got := Drift(n, want); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if n.Spec.Unschedulable != before.Spec.Unschedulable || len(n.Labels) != len(before.Labels) {
			t.Errorf("%s: a look changed the Node", name)
		}
		reconcile(n, want)
		if got := Drift(n, want); len(got) > 0 {
			t.Errorf("%s: left after it was mended: %q", name, got)
		}
	}
	if got := Drift(nil, want); !slices.Equal(got, []string{"its Node is missing"}) {
		t.Errorf("no Node: %q", got)
	}
}

// older is the Node with a label and a taint that were applied and are not wanted.
func older(n *corev1.Node) *corev1.Node {
	n = n.DeepCopy()
	n.Labels["old"] = "x"
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "old", Effect: corev1.TaintEffectNoExecute})
	n.Annotations[AppliedAnnotation] = `{"labels":["a","old","never-there"],"annotations":["note"],"taints":["k:NoSchedule","old:NoExecute"]}`
	return n
}

func TestWhyANodeIsNotReady(t *testing.T) {
	for want, conditions := range map[string][]corev1.NodeCondition{
		"it reports no Ready condition":  {{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}},
		"":                               {{Type: corev1.NodeMemoryPressure}, {Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		"Ready is False: NetworkX no IP": {{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "NetworkX", Message: "no IP"}},
	} {
		n := node(func(n *corev1.Node) { n.Status.Conditions = conditions })
		if got := NotReady(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestOnlyNodesThatAreReadyCount(t *testing.T) {
	ready := node(func(n *corev1.Node) {
		n.Name = "w2"
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	})
	api := fake.NewSimpleClientset(node(func(*corev1.Node) {}), ready)
	if got := Ready(t.Context(), api, time.Minute); len(got) != 1 || got[0].Name != "w2" {
		t.Errorf("ready are %v", got)
	}
	if InternalIP(ready) != "10.0.0.1" || Address(ready, corev1.NodeHostName) != "x" || Address(ready, corev1.NodeExternalIP) != "" {
		t.Errorf("addresses: %q %q", InternalIP(ready), Address(ready, corev1.NodeHostName))
	}
	ready.Status.NodeInfo.KubeletVersion = "v1.37.2+gantry.1.2.3"
	if Version(ready) != "1.2.3" || Version(node(func(*corev1.Node) {})) != "" {
		t.Errorf("version %q", Version(ready))
	}
}
