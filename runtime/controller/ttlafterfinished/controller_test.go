package ttlafterfinished

import (
	"errors"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// TestWhichJobsAreDeleted: those whose time is over, in the cache and in the API, and as
// the API has them.
func TestWhichJobsAreDeleted(t *testing.T) {
	ended := func(ago time.Duration, change ...func(*batchv1.Job)) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "j", UID: "u", ResourceVersion: "7"}, Spec: batchv1.JobSpec{TTLSecondsAfterFinished: ptr.To[int32](60)}}
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(controllertest.Start.Add(-ago))}}
		for _, f := range change {
			f(j)
		}
		return j
	}
	for name, tc := range map[string]struct {
		seen, live *batchv1.Job // nil: it is not there; live is seen where seen is
		prolonged  bool
		refused    error
		deleted    bool
		again      time.Duration
		fails      bool
	}{
		"its time is over":        {seen: ended(time.Hour), deleted: true},
		"just now":                {seen: ended(time.Minute), deleted: true},
		"not yet":                 {seen: ended(45 * time.Second), again: 15 * time.Second},
		"it runs":                 {seen: ended(time.Hour, func(j *batchv1.Job) { j.Status.Conditions = nil })},
		"it is gone":              {},
		"it is gone in the API":   {seen: ended(time.Hour), prolonged: true},
		"somebody prolonged it":   {seen: ended(time.Hour), prolonged: true, live: ended(time.Hour, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = ptr.To[int32](3601) }), again: time.Second},
		"somebody lets it live":   {seen: ended(time.Hour), prolonged: true, live: ended(time.Hour, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = nil })},
		"another has its name":    {seen: ended(time.Hour), prolonged: true, live: ended(time.Hour, func(j *batchv1.Job) { j.UID = "v" })},
		"it has just gone":        {seen: ended(time.Hour), deleted: true, refused: apierrors.NewNotFound(schema.GroupResource{}, "j")},
		"it cannot be deleted":    {seen: ended(time.Hour), deleted: true, refused: errors.New("no quorum"), fails: true},
		"the API does not answer": {seen: ended(time.Hour), prolonged: true, refused: errors.New("no quorum"), fails: true},
	} {
		f := controllertest.New()
		if tc.seen != nil {
			f = controllertest.New(tc.seen)
		}
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if tc.prolonged {
			f.API.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
				if tc.live == nil && tc.refused == nil {
					return true, nil, apierrors.NewNotFound(schema.GroupResource{}, "j")
				}
				return true, tc.live, tc.refused
			})
		}
		f.API.PrependReactor("delete", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
			o := a.(clienttesting.DeleteActionImpl).DeleteOptions
			if *o.Preconditions.UID != "u" || *o.Preconditions.ResourceVersion != "7" || *o.PropagationPolicy != metav1.DeletePropagationForeground {
				t.Errorf("%s: deleted is %+v", name, o)
			}
			return tc.refused != nil, nil, tc.refused
		})
		again, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "j"})
		if got := slices.Equal(f.Writes(), []string{"delete jobs j"}); got != tc.deleted || again != tc.again || (err != nil) != tc.fails {
			t.Errorf("%s: deleted %t, again after %s, %v", name, got, again, err)
		}
	}
}
