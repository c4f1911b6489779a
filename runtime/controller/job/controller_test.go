package job

import (
	"log/slog"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// TestNothingIsDecidedFromAnOldCache: the cache shows no pod of a job that asks for
// one, which would be made again if what is known of the cache did not count.
func TestNothingIsDecidedFromAnOldCache(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*Controller, *batchv1.Job)
		writes bool
	}{
		"the cache is as new as can be known": {func(*Controller, *batchv1.Job) {}, true},
		"a later status was written": {func(r *Controller, j *batchv1.Job) {
			later := j.DeepCopy()
			later.ResourceVersion = "8"
			r.written.Wrote(later)
		}, false},
		"a pod was made":          {func(r *Controller, j *batchv1.Job) { r.expected.Expect(j.UID, 1) }, false},
		"a finalizer was taken":   {func(r *Controller, j *batchv1.Job) { r.released.Expect(j.UID, 0, "pod") }, false},
		"another one controls it": {func(_ *Controller, j *batchv1.Job) { j.Spec.ManagedBy = new("example.com/queue") }, false},
	} {
		j := newJob(1, 1)
		j.UID, j.ResourceVersion = "job", "7"
		j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		api := fake.NewClientset(j)
		f := informers.NewSharedInformerFactory(api, 0)
		r, err := New(reconcile.Deps{
			Client: api, Informers: f, Events: record.NewFakeRecorder(10), Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.before(r, j)
		if err := f.Batch().V1().Jobs().Informer().GetStore().Add(j); err != nil {
			t.Fatal(err)
		}
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "j"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		made := 0
		for _, a := range api.Actions() {
			if a.Matches("create", "pods") {
				made++
			}
		}
		if (made == 1) != c.writes || (!c.writes && len(api.Actions()) > 0) {
			t.Errorf("%s: %v", name, api.Actions())
		}
	}
}
