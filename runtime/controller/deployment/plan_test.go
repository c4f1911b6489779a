package deployment

import (
	"math/rand/v2"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func rolling(n int32, surge, unavailable string) *appsv1.Deployment {
	s, u := intstr.Parse(surge), intstr.Parse(unavailable)
	return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &n, Strategy: appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u},
	}}}
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		n                  int32
		surge, unavailable string
		want               bounds
	}{
		{10, "25%", "25%", bounds{3, 2}},
		{1, "25%", "25%", bounds{1, 0}},
		{4, "0", "0", bounds{0, 1}},
		{2, "1", "10", bounds{1, 2}},
		{3, "0", "10%", bounds{0, 1}},
	} {
		got, err := boundsOf(rolling(tc.n, tc.surge, tc.unavailable))
		if err != nil || got != tc.want {
			t.Errorf("%d pods, surge %s, unavailable %s: %+v, %v; want %+v", tc.n, tc.surge, tc.unavailable, got, err, tc.want)
		}
	}
}

// TestRolloutSimulation runs whole rollouts with pods that become ready in random
// order. At every moment the bounds hold, and in the end all pods are new.
func TestRolloutSimulation(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		want := int32(1 + r.IntN(20))
		b := bounds{surge: int32(r.IntN(6)), unavailable: int32(r.IntN(int(want) + 1))}
		if b.surge == 0 && b.unavailable == 0 {
			b.unavailable = 1
		}
		old := []size{{want: want, available: want}}
		if r.IntN(2) == 0 { // a rollout that is overtaken by another
			part := int32(r.IntN(int(want) + 1))
			old = []size{{part, part}, {want - part, want - part}}
		}
		var fresh size
		for step := 0; ; step++ {
			if step > 500 {
				t.Fatalf("seed %d: the rollout does not end: want %d, bounds %+v, new %+v, old %+v", seed, want, b, fresh, old)
			}
			fresh.want = growNew(want, b, fresh, old)
			for i, n := range shrinkOld(want, b, fresh, old) {
				old[i].want = n
				old[i].available = min(old[i].available, n)
			}
			total, available := fresh.want, fresh.available
			for _, o := range old {
				total += o.want
				available += o.available
			}
			if total > want+b.surge {
				t.Fatalf("seed %d: %d pods, at most %d are allowed", seed, total, want+b.surge)
			}
			if available < want-b.unavailable {
				t.Fatalf("seed %d: %d pods are available, at least %d must be", seed, available, want-b.unavailable)
			}
			if fresh.want == want && fresh.available == want && total == want {
				break
			}
			if fresh.available < fresh.want {
				fresh.available += 1 + int32(r.IntN(int(fresh.want-fresh.available)))
			}
		}
	}
}

func TestShrinkTakesUnavailablePodsFirst(t *testing.T) {
	// The old rollout is stuck: its pods never came up. They may all go.
	got := shrinkOld(4, bounds{1, 1}, size{want: 1, available: 0}, []size{{want: 3, available: 3}, {want: 1, available: 0}})
	if !slices.Equal(got, []int32{3, 0}) {
		t.Errorf("got %v, want [3 0]", got)
	}
}

func TestProportional(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit int32
		sets  []share
		want  []int32
	}{
		{"grow keeps the ratio", 30, []share{{want: 10, max: 15}, {want: 5, max: 15, age: 1}}, []int32{20, 10}},
		{"shrink keeps the ratio", 5, []share{{want: 10, max: 15}, {want: 5, max: 15, age: 1}}, []int32{3, 2}},
		{"nothing to do", 15, []share{{want: 10, max: 15}, {want: 5, max: 15, age: 1}}, []int32{10, 5}},
		{"to nothing", 0, []share{{want: 3, max: 5}, {want: 2, max: 5, age: 1}}, []int32{0, 0}},
		{"one more goes to the newer of equals", 5, []share{{want: 2, max: 4}, {want: 2, max: 4, age: 1}}, []int32{2, 3}},
	} {
		got := proportional(tc.limit, tc.sets)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestProportionalAlwaysSumsToTheLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 1000 {
		var sets []share
		var total int32
		for i := range 2 + r.IntN(4) {
			n := int32(1 + r.IntN(20))
			sets = append(sets, share{want: n, age: i})
			total += n
		}
		for i := range sets {
			sets[i].max = total
		}
		limit := int32(r.IntN(60))
		var sum int32
		for _, n := range proportional(limit, sets) {
			if n < 0 {
				t.Fatalf("a negative size for %+v, limit %d", sets, limit)
			}
			sum += n
		}
		if sum != limit {
			t.Fatalf("sizes for %+v sum to %d, want %d", sets, sum, limit)
		}
	}
}

func TestNewSetIsFoundByTemplateAndRevisionsGoOn(t *testing.T) {
	d := rolling(3, "1", "1")
	d.Name, d.Namespace, d.UID = "web", "default", "d1"
	d.Spec.Template.Labels = map[string]string{"app": "web"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "web:1"}}
	d.Spec.Selector = selectorOf("app", "web")
	hash, err := templateHash(&d.Spec.Template, nil)
	if err != nil {
		t.Fatal(err)
	}
	one := newSet(d, hash, 1)
	if s := sortSets(d, []*appsv1.ReplicaSet{one}); s.new != one || len(s.old) != 0 {
		t.Fatal("the set of the present template is not recognized")
	}
	collisions := int32(1)
	if other, _ := templateHash(&d.Spec.Template, &collisions); other == hash {
		t.Error("a collision does not change the name")
	}
	d.Spec.Template.Spec.Containers[0].Image = "web:2"
	if s := sortSets(d, []*appsv1.ReplicaSet{one}); s.new != nil || len(s.old) != 1 {
		t.Fatal("the set of a former template is taken for the new one")
	}
	// Rolled back to the first template: it gets the next revision, and remembers.
	annotate(one, d, 3)
	if one.Annotations[revisionAnnotation] != "3" || one.Annotations[revisionHistoryAnnotation] != "1" {
		t.Errorf("annotations after the rollback: %v", one.Annotations)
	}
}

// TestASetThatWasJustMadeSmaller: what its status says of pods that are going already does
// not let more go, while none of the new ones is available.
func TestASetThatWasJustMadeSmaller(t *testing.T) {
	for _, fresh := range []size{{want: 3}, {want: 5}} {
		if got := shrinkOld(10, bounds{surge: 3, unavailable: 2}, fresh, []size{{want: 8, available: 10}}); got[0] != 8 {
			t.Errorf("beside a new set of %d, 8 of 10 become %d", fresh.want, got[0])
		}
	}
	if got := shrinkOld(10, bounds{surge: 3, unavailable: 2}, size{want: 5, available: 2}, []size{{want: 8, available: 8}}); got[0] != 6 {
		t.Errorf("with two new pods available, 8 become %d, want 6", got[0])
	}
}
