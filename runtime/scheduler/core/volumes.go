package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
)

// Volumes are the objects that the placement of volumes goes by, as their caches have them,
// and who writes what was decided. A pod without claims asks for none of them.
type Volumes struct {
	Claims     corelisters.PersistentVolumeClaimLister
	Volumes    corelisters.PersistentVolumeLister
	Classes    storagelisters.StorageClassLister
	Drivers    storagelisters.CSIDriverLister
	Capacities storagelisters.CSIStorageCapacityLister
	Nodes      storagelisters.CSINodeLister
	Binder     VolumeBinder
}

// VolumeBinder writes what was decided of volumes.
type VolumeBinder interface {
	// Bind writes which volumes are bound to the claims that they name, and on which node
	// volumes are to be made for others, and waits until all are bound.
	Bind(ctx context.Context, p *corev1.Pod, node *corev1.Node, volumes []*corev1.PersistentVolume, provisions []*corev1.PersistentVolumeClaim) error
}
