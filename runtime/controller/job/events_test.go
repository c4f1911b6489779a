package job

import (
	"errors"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// jobs are one that runs, one that is over, and one that took the name of another.
func jobs() []runtime.Object {
	runs, over, another := newJob(1, 1), newJob(1, 1), newJob(1, 1)
	runs.Name, over.Name, another.Name = "runs", "over", "another"
	for _, j := range []*batchv1.Job{runs, over} {
		j.UID = types.UID(j.Name)
	}
	another.UID = "not the same"
	over.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	return []runtime.Object{runs, over, another}
}

// of is a pod with our finalizer, of a job by its name.
func of(name, kind, owner string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name), Finalizers: []string{batchv1.JobTrackingFinalizer}}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
	}
	return p
}

// A pod keeps our finalizer as long as there is a job to count it. Who has it of nobody
// is let go.
func TestWhichPodsAreLetGo(t *testing.T) {
	free := of("free", "Job", "over")
	free.Finalizers = nil
	for what, tc := range map[string]struct {
		pod              *corev1.Pod
		queued, released bool
	}{
		"of a job that runs":         {of("p", "Job", "runs"), false, false},
		"of one that is over":        {of("p", "Job", "over"), true, true},
		"of one that is gone":        {of("p", "Job", "gone"), true, true},
		"of one before of that name": {of("p", "Job", "another"), true, true},
		"of another kind":            {of("p", "Queue", "over"), false, false},
		"of nobody":                  {of("p", "", ""), false, true}, // queued where it is seen as nobody's
		"without our finalizer":      {free, false, false},
	} {
		f := controllertest.New(append(jobs(), tc.pod)...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t, r.orphans.Synced)
		r.orphans.TakeQueued()
		r.podTracked(tc.pod)
		if got := len(r.orphans.TakeQueued()) == 1; got != tc.queued {
			t.Errorf("%s: queued %t", what, got)
		}
		if _, err := r.releaseOrphan(t.Context(), types.NamespacedName{Namespace: "n", Name: tc.pod.Name}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := slices.Contains(f.Writes(), "patch pods "+tc.pod.Name); got != tc.released {
			t.Errorf("%s: %v", what, f.Writes())
		}
	}
}

// What cannot be asked now is asked again: no pod is let go for it.
func TestAJobThatCannotBeAskedFor(t *testing.T) {
	f := controllertest.New(of("p", "Job", "gone"))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t, r.orphans.Synced)
	f.API.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no answer") })
	if _, err := r.releaseOrphan(t.Context(), types.NamespacedName{Namespace: "n", Name: "p"}); err == nil || !strings.Contains(err.Error(), "no answer") || len(f.Writes()) > 0 {
		t.Errorf("%v, %v", err, f.Writes())
	}
}

// When a job is deleted its pods are let go, those that still have our finalizer.
func TestThePodsOfAJobThatIsDeleted(t *testing.T) {
	free := of("b", "Job", "runs")
	free.Finalizers = nil
	f := controllertest.New(append(jobs(), of("a", "Job", "runs"), free, of("c", "Job", "over"))...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t, r.orphans.Synced)
	r.orphans.TakeQueued()
	r.jobDeleted(jobs()[0].(*batchv1.Job))
	if got := r.orphans.TakeQueued(); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("%v", got)
	}
}

// The index is told once, also where the template tells it in its own way.
func TestTheIndexIsToldOnce(t *testing.T) {
	for _, env := range [][]corev1.EnvVar{nil, {{Name: "X"}}, {{Name: "X"}, {Name: indexVariable, Value: "mine"}}} {
		c := corev1.Container{Env: slices.Clone(env)}
		tellIndex(&c)
		told := slices.DeleteFunc(slices.Clone(c.Env), func(e corev1.EnvVar) bool { return e.Name != indexVariable })
		if len(told) != 1 || (len(env) == 2) != (told[0].Value == "mine") {
			t.Errorf("%v becomes %v", env, c.Env)
		}
	}
}

// An index whose pod runs is not given to another one.
func TestATakenIndexIsNotGivenAgain(t *testing.T) {
	j := newJob(3, 3, isIndexed)
	pods := list("a i=0", "b i=2")
	d := manage(j, tallyOf(j, pods), pods, now)
	if !slices.Equal(d.indexes, []int{1}) || d.create != 1 {
		t.Errorf("%+v", d)
	}
}
