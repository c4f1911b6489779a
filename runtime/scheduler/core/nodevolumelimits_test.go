package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"
)

func csiNode(name string, limits map[string]int32) *storagev1.CSINode {
	n := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for driver, limit := range limits {
		d := storagev1.CSINodeDriver{Name: driver}
		if limit >= 0 {
			d.Allocatable = &storagev1.VolumeNodeResources{Count: &limit}
		}
		n.Spec.Drivers = append(n.Spec.Drivers, d)
	}
	return n
}

// driven is a volume of driver a.b that any node reaches.
func driven(name string) *corev1.PersistentVolume {
	return pv(name, "2Gi", "", func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a.b", VolumeHandle: "h-" + name}}
	})
}

// placed is the node that a pod gets, or why it gets none.
func placed(t *testing.T, pr *Profile, s *Snapshot, p *corev1.Pod) string {
	t.Helper()
	d, err := pr.Schedule(t.Context(), s, compile(t, p), firstTie)
	if err != nil {
		return err.Error()
	}
	return d.Node
}

// TestVolumeLimits: node b has room for two volumes of driver a.b, and has the claims that
// are on it; node a has room for none.
func TestVolumeLimits(t *testing.T) {
	const exceeded = "node(s) exceed max volume count"
	limits := []any{csiNode("a", map[string]int32{"a.b": 0}), csiNode("b", map[string]int32{"a.b": 2, "other": 0})}
	bound := func(names ...string) (out []any) {
		for _, n := range names {
			out = append(out, pvc(n, boundTo("v"+n)), driven("v"+n))
		}
		return out
	}
	attached := func(names ...string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			for _, name := range names {
				n.Status.VolumesAttached = append(n.Status.VolumesAttached, corev1.AttachedVolume{Name: corev1.UniqueVolumeName("kubernetes.io/csi/" + name)})
			}
		}
	}
	for name, tt := range map[string]struct {
		pod     *corev1.Pod
		there   []*corev1.Pod // on node b
		objects []any
		node    func(*corev1.Node)
		want    string
	}{
		"one":                          {podOf("p", "c"), nil, bound("c"), nil, "b"},
		"as many as there is room for": {podOf("p", "c", "d"), nil, bound("c", "d"), nil, "b"},
		"one too many":                 {podOf("p", "c", "d", "e"), nil, bound("c", "d", "e"), nil, exceeded},
		"beside others":                {podOf("p", "c"), []*corev1.Pod{podOf("q", "d"), podOf("r", "e")}, bound("c", "d", "e"), nil, exceeded},
		"the last":                     {podOf("p", "c"), []*corev1.Pod{podOf("q", "d")}, bound("c", "d"), nil, "b"},
		"the same as others":           {podOf("p", "c", "d"), []*corev1.Pod{podOf("q", "c"), podOf("r", "d")}, bound("c", "d"), nil, "b"},
		"of a claim that is gone":      {podOf("p", "c"), []*corev1.Pod{podOf("q", "x", "d")}, bound("c", "d"), nil, "b"},
		"that are still attached":      {podOf("p", "c"), nil, bound("c"), attached("a.b^x", "a.b^y"), exceeded},
		"attached is its own":          {podOf("p", "c", "d"), nil, bound("c", "d"), attached("a.b^h-vc"), "b"},
		"that are still in use": {podOf("p", "c"), nil, bound("c"), func(n *corev1.Node) {
			n.Status.VolumesInUse = []corev1.UniqueVolumeName{"kubernetes.io/csi/a.b^x", "kubernetes.io/csi/a.b^y"}
		}, exceeded},
		"another driver's":        {podOf("p", "c"), nil, bound("c"), attached("z^x", "z^y", "z^z"), "b"},
		"of no driver":            {podOf("p", "c", "d", "e"), nil, []any{pvc("c", boundTo("v")), pv("v", "2Gi", ""), pvc("d", boundTo("w")), pv("w", "2Gi", ""), pvc("e", boundTo("x")), pv("x", "2Gi", "")}, nil, "a"},
		"that are to be made":     {podOf("p", "c", "d", "e"), nil, []any{pvc("c"), pvc("d"), pvc("e"), storageClass("late", "a.b", late)}, nil, exceeded},
		"two that are to be made": {podOf("p", "c", "d"), nil, []any{pvc("c"), pvc("d"), storageClass("late", "a.b", late)}, nil, "b"},
		"no claim at all":         {podOf("p", "c"), nil, nil, nil, `persistentvolumeclaim "c" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, append(tt.objects, limits...)...)
			snap := twoNodes()
			if tt.node != nil {
				n := snap.Node("b").node.DeepCopy()
				tt.node(n)
				snap.SetNode(n)
			}
			for _, q := range tt.there {
				snap.AddPod(compile(t, q), "b")
			}
			got := placed(t, s.profile(), snap, tt.pod)
			if !strings.Contains(got, tt.want) || len(tt.want) == 1 && got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestADriverThatHasToBeThere keeps pods from nodes without it.
func TestADriverThatHasToBeThere(t *testing.T) {
	for must, want := range map[bool]string{false: "a", true: "b"} {
		s := newSite(t, pvc("c", boundTo("v")), driven("v"), csiNode("b", map[string]int32{"a.b": -1}),
			&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}, Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: ptr.To(must)}})
		if got := placed(t, s.profile(), twoNodes(), podOf("p", "c")); got != want {
			t.Errorf("must it be there %t: %s", must, got)
		}
	}
}

func TestLimitEventsThatHelp(t *testing.T) {
	hint := func(of framework.EventResource) QueueingHint {
		for _, e := range (&nodeVolumeLimits{}).EventsToRegister() {
			if e.Event.Resource == of {
				return e.Hint
			}
		}
		return nil
	}
	two, three, none, unlimited := csiNode("n", map[string]int32{"d": 2}), csiNode("n", map[string]int32{"d": 3}), csiNode("n", nil), csiNode("n", map[string]int32{"d": -1})
	for _, tt := range []struct {
		old, now any
		want     bool
	}{{two, three, true}, {three, two, false}, {two, two, false}, {none, two, true}, {two, none, false}, {two, unlimited, true}, {unlimited, two, false}, {nil, two, true}} {
		if got := hint(framework.CSINode)(nil, tt.old, tt.now); got != tt.want {
			t.Errorf("%v, then %v: %t", tt.old, tt.now, got)
		}
	}
	p := compile(t, podOf("p", "c"))
	if left := hint(framework.AssignedPod); !left(p, compile(t, podOf("q", "d")), nil) || left(p, compile(t, podOf("q")), nil) {
		t.Error("of pods that left, those with claims help")
	}
	before := &corev1.Node{Status: corev1.NodeStatus{VolumesInUse: []corev1.UniqueVolumeName{"kubernetes.io/csi/d^h"}}}
	if !Detached(before, &corev1.Node{}) || Detached(&corev1.Node{}, before) || Detached(before, before) || SameVolumes(before, &corev1.Node{}) || !SameVolumes(before, before.DeepCopy()) {
		t.Error("what is detached")
	}
}
