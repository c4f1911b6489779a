package core

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"
)

// site is what the caches have of volumes, and who is asked to bind some.
type site struct {
	t                                                    *testing.T
	claims, volumes, classes, drivers, capacities, nodes cache.Indexer
	asked                                                []string // "volume of claim", "claim at node"
	refuse                                               error
}

func newSite(t *testing.T, objects ...any) *site {
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	s := &site{t: t, claims: index(), volumes: index(), classes: index(), drivers: index(), capacities: index(), nodes: index()}
	s.add(objects...)
	return s
}

func (s *site) add(objects ...any) {
	for _, o := range objects {
		to := s.claims
		switch o.(type) {
		case *corev1.PersistentVolume:
			to = s.volumes
		case *storagev1.StorageClass:
			to = s.classes
		case *storagev1.CSIDriver:
			to = s.drivers
		case *storagev1.CSIStorageCapacity:
			to = s.capacities
		case *storagev1.CSINode:
			to = s.nodes
		}
		if err := to.Add(o); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) listers() Volumes {
	return Volumes{
		Claims: corelisters.NewPersistentVolumeClaimLister(s.claims), Volumes: corelisters.NewPersistentVolumeLister(s.volumes),
		Classes: storagelisters.NewStorageClassLister(s.classes), Drivers: storagelisters.NewCSIDriverLister(s.drivers),
		Capacities: storagelisters.NewCSIStorageCapacityLister(s.capacities), Nodes: storagelisters.NewCSINodeLister(s.nodes), Binder: s,
	}
}

func (s *site) Bind(_ context.Context, _ *corev1.Pod, _ *corev1.Node, volumes []*corev1.PersistentVolume, provisions []*corev1.PersistentVolumeClaim) error {
	for _, v := range volumes {
		s.asked = append(s.asked, v.Name+" of "+v.Spec.ClaimRef.Name)
	}
	for _, c := range provisions {
		s.asked = append(s.asked, c.Name+" at "+c.Annotations[volumehelpers.AnnSelectedNode])
	}
	return s.refuse
}

func (s *site) profile() *Profile {
	s.t.Helper()
	pr, err := NewProfile("default-scheduler", 0, AllPoints(DefaultPlugins(s.listers(), Devices{})))
	if err != nil {
		s.t.Fatal(err)
	}
	return pr
}

func pvc(name string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("late"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("2Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func boundTo(v string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName, c.Status.Phase = v, corev1.ClaimBound
		c.Annotations = map[string]string{volumehelpers.AnnBindCompleted: "yes"}
	}
}

func alone(c *corev1.PersistentVolumeClaim) {
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
}

// pv is a free volume of class late that is on a node ("": on all).
func pv(name, size, at string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: "late", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity: corev1.ResourceList{"storage": resource.MustParse(size)},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	if at != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{at}}},
		}}}}
	}
	for _, f := range change {
		f(v)
	}
	return v
}

func storageClass(name, provisioner string, mode storagev1.VolumeBindingMode, zones ...string) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
	if len(zones) > 0 {
		c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: zones}}}}
	}
	return c
}

func capacity(class, at, size string) *storagev1.CSIStorageCapacity {
	q := resource.MustParse(size)
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{Namespace: "s", Name: class + at}, StorageClassName: class, Capacity: &q,
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelHostname: at}},
	}
}

// podOf is a pod with claims.
func podOf(name string, claims ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}}
	for _, c := range claims {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: c, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c}}})
	}
	return p
}

// twoNodes are a and b, in zones za and zb.
func twoNodes() *Snapshot {
	s := NewSnapshot()
	for _, name := range []string{"a", "b"} {
		s.SetNode(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: "z" + name}},
			Status:     corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}},
		})
	}
	return s
}

const (
	late = storagev1.VolumeBindingWaitForFirstConsumer
	soon = storagev1.VolumeBindingImmediate
)

func TestWhereVolumesLetAPodBe(t *testing.T) {
	selected := func(node string) func(*corev1.PersistentVolumeClaim) {
		return func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{volumehelpers.AnnSelectedNode: node}
		}
	}
	ephemeral := func(p *corev1.Pod) *corev1.Pod {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
		return p
	}
	zone := func(key, value string) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Labels = map[string]string{key: value} }
	}
	tracks := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)}}
	class := storageClass("late", "a.b", late)
	none := storageClass("late", volumehelpers.NotSupportedProvisioner, late)
	const (
		noVolume = "node(s) didn't find available persistent volumes to bind"
		affinity = "node(s) didn't match PersistentVolume's node affinity"
		space    = "node(s) did not have enough free storage"
	)
	for name, tt := range map[string]struct {
		pod     *corev1.Pod
		objects []any
		want    string // the node, or part of the reason
	}{
		"none":                            {podOf("p"), nil, "a"},
		"there":                           {podOf("p", "c"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "b")}, "b"},
		"gone":                            {podOf("p", "c"), []any{pvc("c", boundTo("v"))}, "persistentvolume \"v\" not found"},
		"on two nodes":                    {podOf("p", "c", "d"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "b"), pvc("d", boundTo("w")), pv("w", "2Gi", "a")}, affinity},
		"no claim":                        {podOf("p", "c"), nil, `persistentvolumeclaim "c" not found`},
		"a claim that goes":               {podOf("p", "c"), []any{pvc("c", boundTo("v"), func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }), pv("v", "2Gi", "")}, `persistentvolumeclaim "c" is being deleted`},
		"a claim that lost its volume":    {podOf("p", "c"), []any{pvc("c", boundTo("v"), func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }), pv("v", "2Gi", "")}, `persistentvolumeclaim "c" bound to non-existent persistentvolume "v"`},
		"of an ephemeral volume":          {ephemeral(podOf("p")), nil, `waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"`},
		"somebody's, of its name":         {ephemeral(podOf("p")), []any{pvc("p-v", boundTo("v")), pv("v", "2Gi", "")}, "PVC default/p-v was not created for pod default/p (pod is not owner)"},
		"not bound, and at once":          {podOf("p", "c"), []any{pvc("c"), storageClass("late", "a.b", soon)}, "pod has unbound immediate PersistentVolumeClaims"},
		"half bound":                      {podOf("p", "c"), []any{pvc("c", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }), pv("v", "2Gi", ""), class}, "pod has unbound immediate PersistentVolumeClaims"},
		"a free one":                      {podOf("p", "c"), []any{pvc("c"), none, pv("v", "2Gi", "b")}, "b"},
		"free ones on two nodes":          {podOf("p", "c", "d"), []any{pvc("c"), pvc("d"), none, pv("v", "2Gi", "a"), pv("w", "2Gi", "b")}, noVolume},
		"two free ones on one":            {podOf("p", "c", "d"), []any{pvc("c"), pvc("d"), none, pv("v", "2Gi", "a"), pv("w", "2Gi", "b"), pv("x", "2Gi", "b")}, "b"},
		"a free one that is too small":    {podOf("p", "c"), []any{pvc("c"), none, pv("v", "1Gi", "b")}, noVolume},
		"to be made":                      {podOf("p", "c"), []any{pvc("c"), class}, "a"},
		"to be made in a zone":            {podOf("p", "c"), []any{pvc("c"), storageClass("late", "a.b", late, "zx", "zb")}, "b"},
		"to be made in no zone of a node": {podOf("p", "c"), []any{pvc("c"), storageClass("late", "a.b", late, "zx")}, noVolume},
		"to be made where there is room":  {podOf("p", "c"), []any{pvc("c"), class, tracks, capacity("late", "a", "1Gi"), capacity("late", "b", "2Gi")}, "b"},
		"no room":                         {podOf("p", "c"), []any{pvc("c"), class, tracks, capacity("late", "a", "1Gi"), capacity("other", "b", "9Gi")}, space},
		"nothing published":               {podOf("p", "c"), []any{pvc("c"), class, tracks}, space},
		"who does not say":                {podOf("p", "c"), []any{pvc("c"), class, &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}}, capacity("late", "a", "1Gi")}, "a"},
		"being made":                      {podOf("p", "c"), []any{pvc("c", selected("b")), class}, "b"},
		"being made elsewhere":            {podOf("p", "c"), []any{pvc("c", selected("x")), class}, noVolume},
		"in a zone":                       {podOf("p", "c"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "", zone(corev1.LabelTopologyZone, "zb"))}, "b"},
		"in a zone, by the old label":     {podOf("p", "c"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "", zone(corev1.LabelFailureDomainBetaZone, "zx__zb"))}, "b"},
		"in no zone of a node":            {podOf("p", "c"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "", zone(corev1.LabelTopologyZone, "zx"))}, "node(s) had no available volume zone"},
		"in a region that nodes lack":     {podOf("p", "c"), []any{pvc("c", boundTo("v")), pv("v", "2Gi", "", zone(corev1.LabelTopologyRegion, "r"))}, "node(s) had no available volume zone"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := newSite(t, tt.objects...).profile().Schedule(t.Context(), twoNodes(), compile(t, tt.pod), firstTie)
			got := ""
			var fit *FitError
			switch {
			case err == nil:
				got = d.Node
			case errors.As(err, &fit):
				got = err.Error()
			default:
				t.Fatal(err)
			}
			if !strings.Contains(got, tt.want) || len(tt.want) == 1 && got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNoVolumeIsGivenTwice: from the decision to the binding, and free again when that fails.
func TestNoVolumeIsGivenTwice(t *testing.T) {
	s := newSite(t, pvc("c"), pvc("d"), storageClass("late", volumehelpers.NotSupportedProvisioner, late), pv("v", "2Gi", "b"))
	pr, nodes := s.profile(), twoNodes()
	first, err := pr.Schedule(t.Context(), nodes, compile(t, podOf("p", "c")), firstTie)
	if err != nil {
		t.Fatal(err)
	}
	if first.Waits() {
		t.Error("it waits before it is reserved")
	}
	if status := first.Reserve(t.Context()); !status.IsSuccess() || !first.Waits() {
		t.Fatalf("%v, waits %v", status, first.Waits())
	}
	if _, err := pr.Schedule(t.Context(), nodes, compile(t, podOf("q", "d")), firstTie); err == nil {
		t.Error("the volume is given twice")
	}
	s.refuse = errors.New("refused")
	if status := first.PreBind(t.Context()); status.IsSuccess() || status.Plugin() != "VolumeBinding" || strings.Join(s.asked, ",") != "v of c" {
		t.Errorf("%v, asked %v", status, s.asked)
	}
	first.Unreserve(t.Context())
	second, err := pr.Schedule(t.Context(), nodes, compile(t, podOf("q", "d")), firstTie)
	if err != nil || second.Node != "b" {
		t.Fatalf("%v, %v", second, err)
	}
}

// TestPodsOfOneClaim go where its volume is about to be made.
func TestPodsOfOneClaim(t *testing.T) {
	s := newSite(t, pvc("c"), storageClass("late", "a.b", late))
	pr, nodes := s.profile(), twoNodes()
	first, err := pr.Schedule(t.Context(), nodes, compile(t, podOf("p", "c")), func(int) int { return 1 })
	if err != nil || !first.Reserve(t.Context()).IsSuccess() {
		t.Fatal(err)
	}
	for range 2 {
		second, err := pr.Schedule(t.Context(), nodes, compile(t, podOf("q", "c")), firstTie)
		if err != nil || second.Node != first.Node {
			t.Fatalf("%v, %v, want %s", second, err, first.Node)
		}
	}
	if status := first.PreBind(t.Context()); !status.IsSuccess() || strings.Join(s.asked, ",") != "c at "+first.Node {
		t.Errorf("%v, asked %v", status, s.asked)
	}
}

// TestAClaimOfOnePod: another pod waits for it, or takes it by preemption.
func TestAClaimOfOnePod(t *testing.T) {
	s := newSite(t, pvc("c", boundTo("v"), alone), pv("v", "2Gi", ""), pvc("d", boundTo("w")), pv("w", "2Gi", ""))
	pr, nodes := s.profile(), twoNodes()
	nodes.AddPod(compile(t, podOf("holder", "c", "d")), "a")
	wants := func(name string, priority int32, claims ...string) *PodInfo {
		p := podOf(name, claims...)
		p.Spec.Priority = &priority
		return compile(t, p)
	}
	if d, err := pr.Schedule(t.Context(), nodes, wants("p", 0, "d"), firstTie); err != nil {
		t.Errorf("a claim of many pods: %v, %v", d, err)
	}
	_, err := pr.Schedule(t.Context(), nodes, wants("p", 0, "c"), firstTie)
	if err == nil || !strings.Contains(err.Error(), "2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode") {
		t.Fatal(err)
	}
	_, err = pr.Schedule(t.Context(), nodes, wants("p", 5, "c"), firstTie)
	var fit *FitError
	if !errors.As(err, &fit) || fit.Result == nil || fit.Result.NominatedNodeName != "a" || len(fit.Result.Victims) != 1 {
		t.Fatalf("no preemption: %v", err)
	}
	nodes.RemovePod("holder")
	if d, err := pr.Schedule(t.Context(), nodes, wants("p", 0, "c"), firstTie); err != nil {
		t.Errorf("after it left: %v, %v", d, err)
	}
}

func TestVolumeEventsThatHelp(t *testing.T) {
	pr := newSite(t).profile()
	p := compile(t, podOf("p", "c"))
	small, large := capacity("late", "a", "1Gi"), capacity("late", "a", "2Gi")
	zones, more := storageClass("late", "a.b", late, "za"), storageClass("late", "a.b", late, "za", "zb")
	labelled := pv("v", "2Gi", "", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{corev1.LabelTopologyZone: "za"} })
	elsewhere := pvc("c")
	elsewhere.Namespace = "elsewhere"
	for _, tt := range []struct {
		what     string
		by       string
		resource framework.EventResource
		action   framework.ActionType
		old, now any
		want     bool
	}{
		{"its claim came", "VolumeBinding", framework.PersistentVolumeClaim, framework.Add, nil, pvc("c"), true},
		{"its claim changed", "VolumeBinding", framework.PersistentVolumeClaim, framework.Update, pvc("c"), pvc("c"), true},
		{"another claim", "VolumeBinding", framework.PersistentVolumeClaim, framework.Update, pvc("d"), pvc("d"), false},
		{"one of another namespace", "VolumeBinding", framework.PersistentVolumeClaim, framework.Add, nil, elsewhere, false},
		{"a volume", "VolumeBinding", framework.PersistentVolume, framework.Add, nil, pv("v", "1Gi", ""), true},
		{"a class", "VolumeBinding", framework.StorageClass, framework.Add, nil, zones, true},
		{"more zones", "VolumeBinding", framework.StorageClass, framework.Update, zones, more, true},
		{"as many zones", "VolumeBinding", framework.StorageClass, framework.Update, zones, zones, false},
		{"more room", "VolumeBinding", framework.CSIStorageCapacity, framework.Update, small, large, true},
		{"less room", "VolumeBinding", framework.CSIStorageCapacity, framework.Update, large, small, false},
		{"a node", "VolumeBinding", framework.Node, framework.Add, nil, &corev1.Node{}, true},
		{"a pod left", "VolumeBinding", framework.AssignedPod, framework.Delete, compile(t, podOf("q", "c")), nil, false},
		{"who had the claim left", "VolumeRestrictions", framework.AssignedPod, framework.Delete, compile(t, podOf("q", "c")), nil, true},
		{"who had another left", "VolumeRestrictions", framework.AssignedPod, framework.Delete, compile(t, podOf("q", "d")), nil, false},
		{"the claim came", "VolumeRestrictions", framework.PersistentVolumeClaim, framework.Add, nil, pvc("c"), true},
		{"zones of a volume", "VolumeZone", framework.PersistentVolume, framework.Update, pv("v", "2Gi", ""), labelled, true},
		{"as before", "VolumeZone", framework.PersistentVolume, framework.Update, labelled, labelled, false},
		{"a class that waits", "VolumeZone", framework.StorageClass, framework.Add, nil, zones, true},
		{"a class that does not", "VolumeZone", framework.StorageClass, framework.Add, nil, storageClass("x", "a.b", soon), false},
	} {
		event := framework.ClusterEvent{Resource: tt.resource, ActionType: tt.action}
		if got := pr.MayHelp(p, []string{tt.by}, event, tt.old, tt.now); got != tt.want {
			t.Errorf("%s, %s: %v", tt.by, tt.what, got)
		}
	}
}
