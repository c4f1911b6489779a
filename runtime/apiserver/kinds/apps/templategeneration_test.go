package apps

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// The annotation counts changes of the template, whatever clients write into it.
func TestTemplateGeneration(t *testing.T) {
	row := daemonSet()
	d := &appsv1.DaemonSet{}
	d.Annotations = map[string]string{appsv1.DeprecatedTemplateGeneration: "9"}
	row.PrepareForCreate(d)
	if got := templateGeneration(d); got != 1 {
		t.Errorf("a new one: %d", got)
	}
	same := d.DeepCopy()
	same.Spec.MinReadySeconds = 3
	delete(same.Annotations, appsv1.DeprecatedTemplateGeneration)
	row.PrepareForUpdate(same, d)
	if got := templateGeneration(same); got != 1 {
		t.Errorf("the same template: %d", got)
	}
	other := d.DeepCopy()
	other.Spec.Template.Spec.Hostname = "a"
	row.PrepareForUpdate(other, d)
	if got := templateGeneration(other); got != 2 || d.Annotations[appsv1.DeprecatedTemplateGeneration] != "1" {
		t.Errorf("another template: %d, of %v", got, d.Annotations)
	}
}
