package nodestatus

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The thresholds at which a node asks for no more pods, as upstream's.
const (
	minMemory    = 100 << 20 // bytes
	minDisk      = 10        // percent free
	minProcesses = 10        // percent free
)

// conditions of the node, after those of prev.
func conditions(prev corev1.NodeStatus, f facts) []corev1.NodeCondition {
	return []corev1.NodeCondition{
		pressure(corev1.NodeMemoryPressure, f.free.MemoryAvailable < minMemory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		pressure(corev1.NodeDiskPressure, f.free.DiskFree < minDisk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		pressure(corev1.NodePIDPressure, f.free.ProcessesFree < minProcesses, "KubeletHasInsufficientPID", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		readiness(prev, f),
	}
}

func pressure(t corev1.NodeConditionType, is bool, bad, good, message string) corev1.NodeCondition {
	if is {
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: bad, Message: "the node is under pressure"}
	}
	return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: good, Message: message}
}

func readiness(prev corev1.NodeStatus, f facts) corev1.NodeCondition {
	c := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	switch {
	case f.runtimeErr == nil && f.networkErr == nil:
	case takesOver(prev, f.machine.BootID, f.age):
		c.Message = "kubelet is taking over from the one before it"
	case f.runtimeErr != nil:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletNotReady", "container runtime: "+f.runtimeErr.Error()
	default:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletNotReady", "pod network: "+f.networkErr.Error()
	}
	return c
}

// takesOver reports whether a kubelet of this age goes by what the one before it
// said of the node: a kubelet that is restarted has to find its runtime and its
// network first, and a node that says it is not ready for that moment has all its
// pods taken out of their Services. After a boot nothing runs that could go on.
func takesOver(prev corev1.NodeStatus, bootID string, age time.Duration) bool {
	return age < runtimeGrace && prev.NodeInfo.BootID == bootID && isReady(prev)
}

// isReady says whether the node is ready as the API was told last.
func isReady(s corev1.NodeStatus) bool {
	for _, c := range s.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// setCondition sets the condition of c's type; its transition time moves only with its
// status.
func setCondition(s *corev1.NodeStatus, c corev1.NodeCondition, now metav1.Time) {
	c.LastHeartbeatTime, c.LastTransitionTime = now, now
	for i := range s.Conditions {
		if s.Conditions[i].Type != c.Type {
			continue
		}
		if s.Conditions[i].Status == c.Status {
			c.LastTransitionTime = s.Conditions[i].LastTransitionTime
		}
		s.Conditions[i] = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}
