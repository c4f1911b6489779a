package nodestatus

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestARestartedKubeletTakesOverWhatWasTold(t *testing.T) {
	told := func(ready corev1.ConditionStatus) corev1.NodeStatus {
		return corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{BootID: "this"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: ready}},
		}
	}
	for _, c := range []struct {
		name string
		prev corev1.NodeStatus
		boot string
		age  time.Duration
		want bool
	}{
		{"a restart", told(corev1.ConditionTrue), "this", time.Second, true},
		{"a new node", corev1.NodeStatus{}, "this", time.Second, false},
		{"a boot", told(corev1.ConditionTrue), "another", time.Second, false},
		{"one that was not ready", told(corev1.ConditionFalse), "this", time.Second, false},
		{"one that was given up", told(corev1.ConditionUnknown), "this", time.Second, false},
		{"one that finds nothing", told(corev1.ConditionTrue), "this", runtimeGrace, false},
	} {
		if got := takesOver(c.prev, c.boot, c.age); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
