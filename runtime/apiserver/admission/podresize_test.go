package admission

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
)

func TestPodResizeValidator(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
	}
	plugin := &PodResizeValidator{Node: func(_ context.Context, name string) (*corev1.Node, error) {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Allocatable: list("2", "4Gi")}}
		switch name {
		case "gone":
			return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
		case "unknown":
			return nil, errors.New("no answer")
		case "windows":
			n.Labels = map[string]string{corev1.LabelOSStable: "windows"}
		case "linux":
			n.Labels = map[string]string{corev1.LabelOSStable: "linux"}
		}
		return n, nil
	}}
	for name, tt := range map[string]struct {
		node, sub string
		ask       corev1.ResourceList
		same      bool // nothing changed
		want      string
		cause     metav1.CauseType
	}{
		"all that there is":   {node: "n", sub: "resize", ask: list("2", "4Gi")},
		"of Linux":            {node: "linux", sub: "resize", ask: list("2", "4Gi")},
		"too much CPU":        {node: "n", sub: "resize", ask: list("2001m", "1Gi"), want: "node didn't have enough allocatable resources: cpu, requested: 2001, allocatable: 2000", cause: "NodeCapacity"},
		"too much of both":    {node: "n", sub: "resize", ask: list("3", "5Gi"), want: "cpu, requested: 3000, allocatable: 2000; memory, requested: 5368709120, allocatable: 4294967296", cause: "NodeCapacity"},
		"of Windows":          {node: "windows", sub: "resize", ask: list("1", "1Gi"), want: `only supported on linux nodes, node "windows" is "windows"`, cause: "UnsupportedPlatform"},
		"a node that is gone": {node: "gone", sub: "resize", ask: list("1", "1Gi"), want: `node "gone" not found`},
		"no answer":           {node: "unknown", sub: "resize", ask: list("1", "1Gi"), want: "no answer"},
		"no node yet":         {sub: "resize", ask: list("9", "1Gi")},
		"nothing changed":     {node: "n", sub: "resize", ask: list("9", "1Gi"), same: true},
		"another write":       {node: "n", ask: list("9", "1Gi")},
	} {
		old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Generation: 1}, Spec: corev1.PodSpec{NodeName: tt.node}}
		p := old.DeepCopy()
		p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: tt.ask}}}
		if !tt.same {
			p.Generation++
		}
		a := admission.NewAttributesRecord(p, old, corev1.SchemeGroupVersion.WithKind("Pod"), "ns", "p", corev1.SchemeGroupVersion.WithResource("pods"), tt.sub, admission.Update, nil, false, nil)
		err := plugin.Validate(t.Context(), a, nil)
		if tt.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.cause != "" && !apierrors.HasStatusCause(err, tt.cause) {
			t.Errorf("%s: %v without the cause %s", name, err, tt.cause)
		}
	}
}
