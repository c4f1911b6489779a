package manifest

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestTheServiceLeadsToTheApplication: its names are those of the constants, and what a
// caller makes of it is in the manifest.
func TestTheServiceLeadsToTheApplication(t *testing.T) {
	out, err := Hello(func(d *appsv1.Deployment, s *corev1.Service) {
		pods := d.Spec.Template
		if d.Name != Name || s.Name != Name || *d.Spec.Replicas != Replicas || pods.Spec.Containers[0].Image != Image {
			t.Errorf("the Deployment %s has %d replicas of %s, the Service is %s", d.Name, *d.Spec.Replicas, pods.Spec.Containers[0].Image, s.Name)
		}
		for of, selector := range map[string]map[string]string{"Deployment": d.Spec.Selector.MatchLabels, "Service": s.Spec.Selector} {
			if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(pods.Labels)) {
				t.Errorf("the %s selects %v, and the pods have %v", of, selector, pods.Labels)
			}
		}
		if port := pods.Spec.Containers[0].Ports[0].ContainerPort; s.Spec.Ports[0].TargetPort.IntVal != port {
			t.Errorf("the Service leads to port %v, the pods listen on %d", s.Spec.Ports[0].TargetPort, port)
		}
		d.Namespace, s.Namespace = "one", "two"
	})
	first, second, found := strings.Cut(out, separator)
	if err != nil || !found || !strings.Contains(first, "namespace: one\n") || !strings.Contains(second, "namespace: two\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
