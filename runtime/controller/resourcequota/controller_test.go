package resourcequota

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func hard(names ...corev1.ResourceName) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, n := range names {
		out[n] = resource.MustParse("10")
	}
	return out
}

func quotaOf(name string, limits corev1.ResourceList) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: limits}}
}

func podIn(ns, name string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Status: corev1.PodStatus{Phase: phase}}
}

type world struct {
	*controllertest.Fixture
	*Controller
	t *testing.T
	// told are the namespaces of which counters said that there is a change.
	told chan string
}

// start makes a controller in a world of these objects, with deployments as a kind that
// is counted.
func start(t *testing.T, deployments []runtime.Object, objects ...runtime.Object) world {
	t.Helper()
	f := controllertest.New(objects...)
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f.Deps.Metadata = metadatafake.NewSimpleMetadataClient(scheme, deployments...)
	f.API.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
		{Name: "deployments", Namespaced: true, Kind: "Deployment", Version: "v1", Group: "apps", Verbs: metav1.Verbs{"create", "delete", "get", "list", "watch"}},
		{Name: "reviews", Namespaced: true, Kind: "Review", Version: "v1", Group: "apps", Verbs: metav1.Verbs{"create"}},
	}}}
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t, r.loop.Synced)
	t.Cleanup(r.counts.stop)
	told := make(chan string, 100)
	r.counts.changed = func(_ schema.GroupResource, ns string) { told <- ns }
	return world{f, r, t, told}
}

func (w world) watched() int {
	w.counts.mu.Lock()
	defer w.counts.mu.Unlock()
	return len(w.counts.running)
}

func (w world) reconcileOne(name string) time.Duration {
	w.t.Helper()
	again, err := w.reconcile(w.t.Context(), cache.NewObjectName("team", name))
	if err != nil {
		w.t.Fatal(err)
	}
	return again
}

func (w world) used(name string) map[corev1.ResourceName]int64 {
	w.t.Helper()
	q, err := w.API.CoreV1().ResourceQuotas("team").Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[corev1.ResourceName]int64{}
	for n, v := range q.Status.Used {
		out[n] = v.Value()
	}
	if len(q.Status.Hard) != len(q.Spec.Hard) {
		w.t.Errorf("hard: %v", q.Status.Hard)
	}
	return out
}

func deployment(ns, name string) runtime.Object {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
}

func TestUsageIsWritten(t *testing.T) {
	w := start(t, nil, quotaOf("q", hard("pods", "count/pods", "services", "services.nodeports", "persistentvolumeclaims", "requests.storage")),
		podIn("team", "a", corev1.PodRunning), podIn("team", "b", corev1.PodSucceeded), podIn("other", "c", corev1.PodRunning),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "s"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: make([]corev1.ServicePort, 3)}},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "c"}, Spec: corev1.PersistentVolumeClaimSpec{
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("7")}}}},
	)
	if again := w.reconcileOne("q"); again != resync {
		t.Errorf("again after %s", again)
	}
	got := w.used("q")
	for name, want := range map[corev1.ResourceName]int64{"pods": 1, "count/pods": 2, "services": 1, "services.nodeports": 3, "persistentvolumeclaims": 1, "requests.storage": 7} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s: %d, want %d", name, n, want)
		}
	}
}

func TestNothingIsWrittenWithoutAChange(t *testing.T) {
	q := quotaOf("q", hard("pods"))
	q.Status = corev1.ResourceQuotaStatus{Hard: hard("pods"), Used: corev1.ResourceList{"pods": resource.MustParse("1")}}
	w := start(t, nil, q, podIn("team", "a", corev1.PodRunning))
	w.reconcileOne("q")
	w.reconcileOne("gone")
	if got := w.Writes(); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// until polls a condition that another goroutine brings about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	patience.Until(t, what, done)
}

func TestKindsAreCountedWhileAQuotaCountsThem(t *testing.T) {
	w := start(t, []runtime.Object{deployment("team", "a"), deployment("team", "b"), deployment("other", "c")},
		quotaOf("q", hard("count/deployments.apps", "pods", "count/reviews.apps", "count/nothing.example.com")))
	if again := w.reconcileOne("q"); again != unserved {
		t.Errorf("a kind that is not served is looked for again after %s", again)
	}
	if ns := <-w.told; ns != "" {
		t.Errorf("filled: told of %q", ns)
	}
	w.reconcileOne("q")
	got := w.used("q")
	if got["count/deployments.apps"] != 2 || got["pods"] != 0 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	if n := w.watched(); n != 1 {
		t.Errorf("%d kinds are watched", n)
	}
	if err := w.Deps.Metadata.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("team").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if ns := <-w.told; ns != "team" {
		t.Errorf("a deletion: told of %q", ns)
	}
	w.reconcileOne("q")
	if got := w.used("q"); got["count/deployments.apps"] != 1 {
		t.Errorf("%v", got)
	}
	if err := w.API.CoreV1().ResourceQuotas("team").Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the quota's deletion is not seen", func() bool {
		_, err := w.quotas.ResourceQuotas("team").Get("q")
		return err != nil
	})
	w.reconcileOne("q")
	if n := w.watched(); n != 0 {
		t.Errorf("%d kinds are still watched", n)
	}
}

func TestStatusOf(t *testing.T) {
	q := quotaOf("q", hard("pods", "secrets"))
	q.Status.Used = corev1.ResourceList{"pods": resource.MustParse("5"), "secrets": resource.MustParse("4"), "services": resource.MustParse("3")}
	got := statusOf(q, corev1.ResourceList{"pods": resource.MustParse("1"), "configmaps": resource.MustParse("2")})
	pods, secrets := got.Used["pods"], got.Used["secrets"]
	if len(got.Hard) != 2 || len(got.Used) != 2 || pods.Value() != 1 || secrets.Value() != 4 {
		t.Errorf("%v", got)
	}
}

func TestPodFreed(t *testing.T) {
	at := time.Unix(1000, 0)
	running := podIn("team", "p", corev1.PodRunning)
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := running.DeepCopy()
		change(p)
		return p
	}
	status := func(cpu string) *corev1.Pod {
		return with(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}
		})
	}
	ended := with(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	for name, tt := range map[string]struct {
		old, now *corev1.Pod
		want     bool
	}{
		"nothing":  {running, running, false},
		"it ends":  {running, ended, true},
		"it ended": {ended, ended, false},
		"it lingers": {running, with(func(p *corev1.Pod) {
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: at.Add(-time.Hour)}, ptr.To[int64](1)
		}), true},
		"a deadline":   {running, with(func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr.To[int64](1) }), true},
		"resized":      {status("1"), status("2"), true},
		"not resized":  {status("1"), status("1000m"), false},
		"first status": {running, status("1"), false},
	} {
		if got := podFreed(tt.old, tt.now, at); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
