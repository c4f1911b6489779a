// Package localvolume provisions the cluster's own volumes: directories of its servers, as
// PersistentVolumes of type local (provisioner local.gantry.run). The scheduler has chosen
// the node by then, with the help of the CSIStorageCapacities that this package publishes:
// of each node what its CSINode offers, less the volumes that lie there.
//
// The directory is its node's to make, when the first pod mounts it, and to remove, once
// the object is being deleted; a finalizer keeps the object until then. What is known of
// the directory is in the object: the annotation that it was made, and the finalizer.
package localvolume
