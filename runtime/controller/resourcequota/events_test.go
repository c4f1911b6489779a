package resourcequota

import (
	"context"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
)

// queued are the names of quotas that wait to be reconciled.
func (w world) queued() []string {
	var out []string
	for _, key := range w.loop.TakeQueued() {
		out = append(out, key.String())
	}
	slices.Sort(out)
	return out
}

func TestWhichQuotasAKindCountsTowards(t *testing.T) {
	other := quotaOf("other", hard("pods", "count/deployments.apps"))
	other.Namespace = "else"
	w := start(t, nil, other, quotaOf("both", hard("pods", "count/deployments.apps")), quotaOf("deployments", hard("count/deployments.apps")),
		quotaOf("pods", hard("requests.cpu")), quotaOf("secrets", hard("secrets")))
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	for _, tt := range []struct {
		kind      schema.GroupResource
		namespace string
		want      []string
	}{
		{corev1.Resource("pods"), "team", []string{"team/both", "team/pods"}},
		{deployments, "team", []string{"team/both", "team/deployments"}},
		{deployments, "", []string{"else/other", "team/both", "team/deployments"}},
		{corev1.Resource("secrets"), "team", []string{"team/secrets"}},
		{corev1.Resource("configmaps"), "team", nil},
	} {
		w.queued()
		w.changed(tt.kind, tt.namespace)
		if got := w.queued(); !slices.Equal(got, tt.want) {
			t.Errorf("%v in %q: queued %q, want %q", tt.kind, tt.namespace, got, tt.want)
		}
	}
}

// TestWhichChangesAreLookedAt: of each kind a change of what matters to nobody in one
// namespace, then one that matters in another. Events come in their order, so that the
// second is queued alone.
func TestWhichChangesAreLookedAt(t *testing.T) {
	note := map[string]string{"a": "b"}
	limits := hard("pods", "services.nodeports", "persistentvolumeclaims", "requests.storage", "count/resourceclaims.resource.k8s.io")
	quiet := quotaOf("q", limits)
	quiet.Namespace = "quiet"
	objects := []runtime.Object{quotaOf("q", limits), quiet}
	for _, ns := range []string{"team", "quiet"} {
		meta := metav1.ObjectMeta{Namespace: ns, Name: "o"}
		objects = append(objects, podIn(ns, "o", corev1.PodRunning), &corev1.Service{ObjectMeta: meta}, &corev1.PersistentVolumeClaim{ObjectMeta: meta}, &resourcev1.ResourceClaim{ObjectMeta: meta})
	}
	w := start(t, nil, objects...)
	core, devices := w.API.CoreV1(), w.API.ResourceV1()
	for name, change := range map[string]func(ctx context.Context, ns string, matters bool) error{
		"a quota's limits": func(ctx context.Context, ns string, matters bool) error {
			q := quotaOf("q", maps.Clone(limits))
			q.Namespace, q.Annotations = ns, note
			if matters {
				q.Spec.Hard["pods"] = resource.MustParse("11")
			}
			_, err := core.ResourceQuotas(ns).Update(ctx, q, metav1.UpdateOptions{})
			return err
		},
		"a pod ends": func(ctx context.Context, ns string, matters bool) error {
			p := podIn(ns, "o", corev1.PodRunning)
			p.Annotations = note
			if matters {
				p.Status.Phase = corev1.PodFailed
			}
			_, err := core.Pods(ns).Update(ctx, p, metav1.UpdateOptions{})
			return err
		},
		"a service gets other ports": func(ctx context.Context, ns string, matters bool) error {
			s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "o", Annotations: note}}
			if matters {
				s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: make([]corev1.ServicePort, 2)}
			}
			_, err := core.Services(ns).Update(ctx, s, metav1.UpdateOptions{})
			return err
		},
		"a claim has grown": func(ctx context.Context, ns string, matters bool) error {
			c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "o", Annotations: note}}
			if matters {
				c.Status.AllocatedResources = corev1.ResourceList{"storage": resource.MustParse("2Gi")}
			}
			_, err := core.PersistentVolumeClaims(ns).Update(ctx, c, metav1.UpdateOptions{})
			return err
		},
		"a claim of devices goes": func(ctx context.Context, ns string, matters bool) error {
			if matters {
				return devices.ResourceClaims(ns).Delete(ctx, "o", metav1.DeleteOptions{})
			}
			_, err := devices.ResourceClaims(ns).Update(ctx, &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "o", Annotations: note}}, metav1.UpdateOptions{})
			return err
		},
	} {
		w.loop.TakeQueued()
		for _, c := range []struct {
			ns      string
			matters bool
		}{{"quiet", false}, {"team", true}} {
			if err := change(t.Context(), c.ns, c.matters); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var got []string
		until(t, name+" is not seen", func() bool { got = w.queued(); return len(got) > 0 })
		if !slices.Equal(got, []string{"team/q"}) {
			t.Errorf("%s: queued %q", name, got)
		}
	}
}

// TestACounterThatWasReplacedIsKept: the end of an old watch does not end the new one.
func TestACounterThatWasReplacedIsKept(t *testing.T) {
	w := start(t, nil, quotaOf("q", hard("count/deployments.apps")))
	gr := schema.GroupResource{Group: "apps", Resource: "deployments"}
	now, err := w.counts.of(t.Context(), gr)
	if err != nil || now == nil {
		t.Fatal(err)
	}
	ended := false
	w.counts.drop(gr, &counter{stop: func() { ended = true }})
	if again, err := w.counts.of(t.Context(), gr); err != nil || again != now || !ended {
		t.Errorf("the new watch is gone, or the old one goes on (ended: %v, %v)", ended, err)
	}
	w.counts.drop(gr, now)
	if n := w.watched(); n != 0 {
		t.Errorf("%d kinds are still watched", n)
	}
}

func TestOnlyTheNameIsKept(t *testing.T) {
	whole := deployment("team", "a").(*metav1.PartialObjectMetadata)
	whole.UID, whole.ResourceVersion, whole.Labels, whole.ManagedFields = "u", "7", map[string]string{"a": "b"}, []metav1.ManagedFieldsEntry{{}}
	got, err := onlyName(whole)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := got.(*metav1.PartialObjectMetadata)
	if !ok || m.Namespace != "team" || m.Name != "a" || m.UID != "u" || m.ResourceVersion != "7" || m.Kind != "Deployment" || m.Labels != nil || m.ManagedFields != nil {
		t.Errorf("kept %+v", got)
	}
	missed := cache.DeletedFinalStateUnknown{Key: "team/a"}
	if got, err := onlyName(missed); err != nil || got != missed {
		t.Errorf("a tombstone became %+v, %v", got, err)
	}
}
