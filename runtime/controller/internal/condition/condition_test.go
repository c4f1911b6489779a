package condition

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func fields(c *appsv1.ReplicaSetCondition) Fields[appsv1.ReplicaSetConditionType] {
	return Fields[appsv1.ReplicaSetConditionType]{c.Type, &c.Status, &c.Reason, &c.Message, &c.LastTransitionTime}
}

func TestSet(t *testing.T) {
	of := Of[appsv1.ReplicaSetCondition, appsv1.ReplicaSetConditionType](fields)
	before, now := metav1.Unix(50, 0), metav1.Unix(100, 0)
	of1 := func(s corev1.ConditionStatus, reason, message string, at metav1.Time) appsv1.ReplicaSetCondition {
		return appsv1.ReplicaSetCondition{Type: "A", Status: s, Reason: reason, Message: message, LastTransitionTime: at}
	}
	was := of1(corev1.ConditionTrue, "r", "m", before)
	other := appsv1.ReplicaSetCondition{Type: "B", Status: corev1.ConditionFalse}
	for _, tc := range []struct {
		name string
		same Sameness
		set  appsv1.ReplicaSetCondition
		want appsv1.ReplicaSetCondition
	}{
		{"equal", SameMessage, of1(corev1.ConditionTrue, "r", "m", metav1.Time{}), was},
		{"another message", SameMessage, of1(corev1.ConditionTrue, "r", "n", metav1.Time{}), of1(corev1.ConditionTrue, "r", "n", before)},
		{"another message, which is no matter", SameReason, of1(corev1.ConditionTrue, "r", "n", metav1.Time{}), was},
		{"another reason", SameReason, of1(corev1.ConditionTrue, "q", "m", metav1.Time{}), of1(corev1.ConditionTrue, "q", "m", before)},
		{"another reason by message", SameMessage, of1(corev1.ConditionTrue, "q", "m", metav1.Time{}), of1(corev1.ConditionTrue, "q", "m", before)},
		{"another reason, which is no matter", SameStatus, of1(corev1.ConditionTrue, "q", "n", metav1.Time{}), was},
		{"another status", SameStatus, of1(corev1.ConditionFalse, "r", "m", metav1.Time{}), of1(corev1.ConditionFalse, "r", "m", now)},
		{"another status by message", SameMessage, of1(corev1.ConditionFalse, "r", "m", metav1.Time{}), of1(corev1.ConditionFalse, "r", "m", now)},
	} {
		list := []appsv1.ReplicaSetCondition{other, was}
		changed := of.Set(&list, tc.set, tc.same, now)
		if len(list) != 2 || list[0] != other || list[1] != tc.want || changed != (tc.want != was) {
			t.Errorf("%s: changed %v, %+v", tc.name, changed, list)
		}
	}
	var list []appsv1.ReplicaSetCondition
	if !of.Set(&list, of1(corev1.ConditionTrue, "r", "m", before), SameMessage, now) || list[0].LastTransitionTime != now {
		t.Errorf("the first: %+v", list)
	}
}

func TestFindAndRemove(t *testing.T) {
	of := Of[appsv1.ReplicaSetCondition, appsv1.ReplicaSetConditionType](fields)
	list := []appsv1.ReplicaSetCondition{{Type: "A", Status: corev1.ConditionTrue}, {Type: "B", Status: corev1.ConditionFalse}}
	if of.Find(list, "B") != &list[1] || of.Find(list, "C") != nil {
		t.Error("found another one")
	}
	if !of.IsTrue(list, "A") || of.IsTrue(list, "B") || of.IsTrue(list, "C") {
		t.Error("what is true is not, or what is not is")
	}
	of.Remove(&list, "C")
	of.Remove(&list, "A")
	if len(list) != 1 || list[0].Type != "B" {
		t.Errorf("left are %+v", list)
	}
}
