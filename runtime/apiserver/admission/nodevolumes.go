package admission

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"

	"github.com/gantry-run/gantry/runtime/config"
)

// localVolume lets a node tell of a volume of the cluster's own that lies on it: that it
// made the directory, once, and that it removed it. Everything else of a volume says who
// has it and where it is.
func (n nodeRequest) localVolume() error {
	now, ok1 := n.GetObject().(*corev1.PersistentVolume)
	old, ok2 := n.GetOldObject().(*corev1.PersistentVolume)
	if n.GetOperation() != admission.Update || n.GetSubresource() != "" || !ok1 || !ok2 {
		return n.forbid("unexpected operation %q, node %q can only update persistent volumes that it provisioned", n.GetOperation(), n.name)
	}
	if old.Labels[config.LocalVolumeNode] != n.name {
		return n.forbid("node %q can only update persistent volumes with label %s set to itself", n.name, config.LocalVolumeNode)
	}
	now, old = now.DeepCopy(), old.DeepCopy()
	if old.Annotations[config.LocalVolumeMade] == "" {
		delete(now.Annotations, config.LocalVolumeMade)
	}
	if old.DeletionTimestamp != nil && !slices.Contains(now.Finalizers, config.LocalVolumeFinalizer) {
		old.Finalizers = slices.DeleteFunc(old.Finalizers, func(f string) bool { return f == config.LocalVolumeFinalizer })
	}
	for _, v := range []*corev1.PersistentVolume{now, old} {
		v.ResourceVersion, v.ManagedFields, v.Generation = "", nil, 0
	}
	if !equality.Semantic.DeepEqual(now, old) {
		return n.forbid("node %q is not allowed to update fields other than annotation %s and finalizer %s", n.name, config.LocalVolumeMade, config.LocalVolumeFinalizer)
	}
	return nil
}
