package registry

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// NewEphemeralContainers is pods/ephemeralcontainers: debug containers are added
// to a running pod, and are never changed or taken away. As with upstream its writers own
// what they write, also what is then left as it was.
func NewEphemeralContainers(s *Store) rest.Storage {
	return newSubresource(s, ephemeralStrategy{s.strategy})
}

type ephemeralStrategy struct{ strategy }

func (s ephemeralStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s ephemeralStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s.drop(obj)
	added := obj.(*corev1.Pod).Spec.EphemeralContainers
	s.layout.keepAllButStatus(obj, old)
	s.layout.keepStatus(obj, old)
	keepMetadata(kind.AllMetadata, obj, old)
	pod := obj.(*corev1.Pod)
	pod.Spec.EphemeralContainers = added
	if !equality.Semantic.DeepEqual(added, old.(*corev1.Pod).Spec.EphemeralContainers) {
		pod.Generation++
	}
}

func (s ephemeralStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	path := field.NewPath("spec", "ephemeralContainers")
	pod, was := obj.(*corev1.Pod), old.(*corev1.Pod)
	if _, mirror := was.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	var errs field.ErrorList
	now := map[string]*corev1.EphemeralContainer{}
	for i := range pod.Spec.EphemeralContainers {
		now[pod.Spec.EphemeralContainers[i].Name] = &pod.Spec.EphemeralContainers[i]
	}
	for i := range was.Spec.EphemeralContainers {
		c := &was.Spec.EphemeralContainers[i]
		if n := now[c.Name]; n == nil {
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be removed", c.Name)))
		} else if !equality.Semantic.DeepEqual(n, c) {
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be changed", c.Name)))
		}
	}
	if s.kind.Validate != nil {
		errs = append(errs, s.kind.Validate(obj)...)
	}
	return append(errs, s.kind.NewlyUnsupported(obj, old)...)
}

func (s ephemeralStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields names nothing.
func (s ephemeralStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return nil }
