package registry

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Scale is the scale subresource of a kind: its replica count as autoscaling/v1.
type Scale struct{ store *Store }

var (
	_ rest.Patcher                  = &Scale{}
	_ rest.GroupVersionKindProvider = &Scale{}
)

// Scale returns the kind's scale subresource.
func (s *Store) Scale() *Scale { return &Scale{s} }

// GroupVersionKind says that every group's scale is autoscaling/v1.
func (r *Scale) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
}

// New returns an empty Scale.
func (r *Scale) New() runtime.Object { return &autoscalingv1.Scale{} }

// Destroy does nothing: the storage belongs to the main resource.
func (r *Scale) Destroy() {}

// ConvertToTable prints name and age.
func (r *Scale) ConvertToTable(ctx context.Context, obj, o runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(schema.GroupResource{Group: autoscalingv1.GroupName, Resource: "scales"}).ConvertToTable(ctx, obj, o)
}

// Get reads the object's scale.
func (r *Scale) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.store.Get(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return r.of(obj)
}

func (r *Scale) of(obj runtime.Object) (*autoscalingv1.Scale, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	spec, status := r.store.kind.Scale.Replicas(obj)
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{
			Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID(),
			ResourceVersion: m.GetResourceVersion(), CreationTimestamp: m.GetCreationTimestamp(),
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: spec},
		Status: autoscalingv1.ScaleStatus{Replicas: status, Selector: r.store.kind.Scale.Selector(obj)},
	}, nil
}

// Update sets the replica count.
func (r *Scale) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	toScale := func(admit rest.ValidateObjectFunc) rest.ValidateObjectFunc {
		return func(ctx context.Context, obj runtime.Object) error {
			scale, err := r.of(obj)
			if err != nil || admit == nil {
				return err
			}
			return admit(ctx, scale)
		}
	}
	toScaleUpdate := func(ctx context.Context, obj, old runtime.Object) error {
		now, err := r.of(obj)
		if err != nil {
			return err
		}
		was, err := r.of(old)
		if err != nil || update == nil {
			return err
		}
		return update(ctx, now, was)
	}
	obj, _, err := r.store.Update(ctx, name, &scaledObject{r, info, name}, toScale(create), toScaleUpdate, false, o)
	if err != nil {
		return nil, false, err
	}
	scale, err := r.of(obj)
	return scale, false, err
}

// scaledObject turns an update of the scale into an update of the object.
type scaledObject struct {
	scale *Scale
	info  rest.UpdatedObjectInfo
	name  string
}

func (u *scaledObject) Preconditions() *metav1.Preconditions { return u.info.Preconditions() }

// UpdatedObject has who owns the replica count of the object own that of the scale, and
// takes over who owns it afterwards.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
func (u *scaledObject) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	was, err := u.scale.of(old)
	if err != nil {
		return nil, err
	}
	obj := old.DeepCopyObject()
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	owners := u.scale.owners(m.GetManagedFields())
	if was.ManagedFields, err = owners.ToSubresource(); err != nil {
		return nil, err
	}
	updated, err := u.info.UpdatedObject(ctx, was)
	if err != nil {
		return nil, err
	}
	now, ok := updated.(*autoscalingv1.Scale)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("a scale is expected, not a %T", updated))
	}
	if now.Spec.Replicas < 0 {
		return nil, errors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), u.name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "replicas"), now.Spec.Replicas, "must be greater than or equal to 0"),
		})
	}
	if now.UID != "" && now.UID != m.GetUID() {
		return nil, errors.NewConflict(u.scale.resource(), u.name,
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", now.UID, m.GetUID())) //nolint:staticcheck // upstream's message
	}
	u.scale.store.kind.Scale.SetReplicas(obj, now.Spec.Replicas)
	if now.ResourceVersion != "" {
		// The client's resourceVersion guards the object as it would the scale.
		m.SetResourceVersion(now.ResourceVersion)
	}
	entries, err := owners.ToParent(now.ManagedFields)
	if err != nil {
		return nil, err
	}
	m.SetManagedFields(entries)
	return obj, nil
}

// owners turns who owns fields of the object into who owns those of its scale, and back.
func (r *Scale) owners(of []metav1.ManagedFieldsEntry) *managedfields.ScaleHandler {
	paths := managedfields.ResourcePathMappings{}
	for _, gvk := range servedKinds(*r.store.kind) {
		paths[gvk.GroupVersion().String()] = fieldpath.MakePathOrDie("spec", "replicas")
	}
	return managedfields.NewScaleHandler(of, r.store.kind.GVK.GroupVersion(), paths)
}

func (r *Scale) resource() schema.GroupResource {
	return schema.GroupResource{Group: r.store.kind.GVK.Group, Resource: r.store.kind.Resource}
}
