package replicationcontroller

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func controllerOfTwo() *corev1.ReplicationController {
	labels := map[string]string{"app": "a"}
	return &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: "rc", Namespace: "d", UID: "rc", Generation: 3},
		Spec: corev1.ReplicationControllerSpec{
			Replicas: ptr.To[int32](2), MinReadySeconds: 5, Selector: labels,
			Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		},
		Status: corev1.ReplicationControllerStatus{
			Replicas: 1, FullyLabeledReplicas: 2, ReadyReplicas: 3, AvailableReplicas: 4, ObservedGeneration: 5,
			Conditions: []corev1.ReplicationControllerCondition{{
				Type: corev1.ReplicationControllerReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "m", LastTransitionTime: metav1.NewTime(controllertest.Start),
			}},
		},
	}
}

func TestASetMeansTheSame(t *testing.T) {
	rc := controllerOfTwo()
	rs := setOf(rc)
	if got := controllerOf(rs); !equality.Semantic.DeepEqual(got, rc) {
		t.Errorf("there and back: %+v", got)
	}
	if rs.GroupVersionKind() != kind || rs.Spec.Selector.MatchLabels["app"] != "a" {
		t.Errorf("%v selects %v", rs.GroupVersionKind(), rs.Spec.Selector)
	}
	rs.Spec.Template.Labels["app"], *rs.Spec.Replicas, rs.Status.Conditions[0].Reason = "b", 9, "other"
	if !equality.Semantic.DeepEqual(rc, controllerOfTwo()) {
		t.Error("the set shares memory with what it was made of")
	}
	if rs := setOf(&corev1.ReplicationController{}); rs.Spec.Selector == nil {
		t.Error("no selector at all, which means everything elsewhere")
	}
}

// TestReplicas: one pod is adopted, one is missing and refused; the status says so.
func TestReplicas(t *testing.T) {
	rc := controllerOfTwo()
	rc.Status = corev1.ReplicationControllerStatus{}
	orphan := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "orphan", Namespace: "d", UID: "orphan", Labels: rc.Spec.Selector}}
	f := controllertest.New(rc, orphan)
	refuse := make(chan bool, 1)
	refuse <- true
	f.API.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		select {
		case <-refuse:
			return true, nil, errors.New("no room")
		default:
			a.(clienttesting.CreateAction).GetObject().(*corev1.Pod).UID = types.UID("made")
			return false, nil, nil
		}
	})
	c, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- c.Run(ctx, 1) }()
	patience.Eventually(t, "two replicas are counted", func() error {
		got, err := f.API.CoreV1().ReplicationControllers("d").Get(t.Context(), "rc", metav1.GetOptions{})
		if err == nil && (got.Status.Replicas != 2 || len(got.Status.Conditions) != 0) {
			err = fmt.Errorf("status %+v", got.Status)
		}
		return err
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	pods, err := f.API.CoreV1().Pods("d").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 2 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	for _, p := range pods.Items {
		if ref := metav1.GetControllerOf(&p); ref == nil || ref.Kind != "ReplicationController" || ref.APIVersion != "v1" || ref.UID != "rc" {
			t.Errorf("pod %s is controlled by %+v", p.Name, ref)
		}
	}
}
