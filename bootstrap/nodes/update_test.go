package nodes

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// TestANodeGetsWhatItShouldHave: labels in any number, of which some are there, and only
// once; a Node that is as it should be is not written.
func TestANodeGetsWhatItShouldHave(t *testing.T) {
	want := spec.Node{Host: spec.Host{Name: "w1", Address: "192.0.2.1"}, Labels: map[string]string{"a": "1", "b": "2", "c": "3"}}
	for name, have := range map[string]map[string]string{
		"none": nil, "the first": {"a": "1"}, "one between": {"b": "2"}, "another value": {"a": "1", "b": "x"}, "somebody's too": {"x": "y", "c": "3"},
	} {
		api := fake.NewSimpleClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", Labels: have}})
		change, err := Update(t.Context(), api, want)
		if err != nil || change == nil {
			t.Fatalf("%s: %v, %v", name, change, err)
		}
		if err := change.Apply(t.Context(), nil, step.Seen{}); err != nil {
			t.Fatal(err)
		}
		n, err := api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range want.Labels {
			if n.Labels[key] != value {
				t.Errorf("%s: %s is %q", name, key, n.Labels[key])
			}
		}
		if have["x"] != n.Labels["x"] || Declared(n).Address != "192.0.2.1" {
			t.Errorf("%s: %v, %v", name, n.Labels, n.Annotations)
		}
		api.ClearActions()
		if change, err := Update(t.Context(), api, want); err != nil || change != nil {
			t.Errorf("%s, again: %v, %v", name, change, err)
		}
		if err := (update{api, want}).Update(t.Context()); err != nil || slices.ContainsFunc(api.Actions(), func(a clienttesting.Action) bool { return a.GetVerb() == "update" }) {
			t.Errorf("%s: it is written again: %v", name, err)
		}
	}
}

// TestAWriteThatComesTooLateIsMadeAgain, on the Node as it is then; any other failure is told.
func TestAWriteThatComesTooLateIsMadeAgain(t *testing.T) {
	resource := schema.GroupResource{Resource: "nodes"}
	for name, tc := range map[string]struct {
		verb    string
		refused error
		times   int
		fails   bool
	}{
		"somebody wrote": {"update", apierrors.NewConflict(resource, "w1", errors.New("old")), 1, false},
		"it is refused":  {"update", errors.New("no quorum"), 1, true},
		"it is not read": {"get", errors.New("no quorum"), 1, true},
		"it is gone":     {"get", apierrors.NewNotFound(resource, "w1"), 1, true},
	} {
		api, left := fake.NewSimpleClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1"}}), tc.times
		api.PrependReactor(tc.verb, "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
			left--
			return left >= 0, nil, tc.refused
		})
		err := update{api, spec.Node{Host: spec.Host{Name: "w1"}, Labels: map[string]string{"a": "1"}}}.Update(t.Context())
		if (err != nil) != tc.fails || err != nil && !strings.Contains(err.Error(), "apply labels, annotations and taints of node w1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestANodeIsWaitedFor: until it is Ready, and as long as it may take; what stood against it
// last is told.
func TestANodeIsWaitedFor(t *testing.T) {
	node := func(status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Reason: "KubeletNotReady"}}}}
	}
	for name, tc := range map[string]struct {
		answers []*corev1.Node // nil: it is not there; the last one is given on and on
		refused error
		says    string
	}{
		"it is Ready":             {answers: []*corev1.Node{node(corev1.ConditionTrue)}},
		"it becomes so":           {answers: []*corev1.Node{nil, node(corev1.ConditionFalse), node(corev1.ConditionTrue)}},
		"it does not":             {answers: []*corev1.Node{node(corev1.ConditionFalse)}, says: "Ready is False: KubeletNotReady"},
		"it does not register":    {answers: []*corev1.Node{nil}, says: "its kubelet has not registered yet"},
		"the API does not answer": {refused: errors.New("no quorum"), says: "no quorum"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api, asked, begun := fake.NewSimpleClientset(), 0, time.Now()
				api.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
					if tc.refused != nil {
						return true, nil, tc.refused
					}
					n := tc.answers[min(asked, len(tc.answers)-1)]
					asked++
					if n == nil {
						return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, "w1")
					}
					return true, n, nil
				})
				err := WaitReady(t.Context(), api, "w1", time.Minute)
				if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), "node w1 is not Ready after 1m0s: "+tc.says) {
					t.Errorf("%v", err)
				}
				if waited := time.Since(begun); (waited == time.Minute) != (tc.says != "") || tc.says == "" && asked != len(tc.answers) {
					t.Errorf("asked %d times in %s", asked, waited)
				}
			})
		})
	}
}
