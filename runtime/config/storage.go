package config

// The cluster's own volumes are directories of its servers. The controller-manager decides
// that there is one, a PersistentVolume of type local, and the kubelet of its node makes
// the directory and removes it.
const (
	// LocalDriver provisions them: in StorageClasses, CSIDriver, CSINodes and PersistentVolumes.
	LocalDriver = "local.gantry.run"
	// LocalStorageClass is the name of the StorageClass that every cluster has.
	LocalStorageClass = "local"
	// LocalVolumeNode labels such PersistentVolumes with their node's name, so that a node
	// can be told of its own and of no others.
	LocalVolumeNode = LocalDriver + "/node"
	// LocalVolumeMade annotates those whose directory was made: one that is missing then is lost.
	LocalVolumeMade = LocalDriver + "/made"
	// LocalVolumeFinalizer keeps the object until its node has removed the directory.
	LocalVolumeFinalizer = LocalDriver + "/data"
	// LocalPath, LocalCapacity and LocalEnforced annotate a CSINode with where its volumes
	// lie, how many bytes they may have together, and whether one can grow beyond its own.
	LocalPath     = LocalDriver + "/path"
	LocalCapacity = LocalDriver + "/capacity"
	LocalEnforced = LocalDriver + "/enforced"
)

// VolumesDir is where the cluster's own volumes lie where nothing else is said, and
// DefaultStorageReserve is what of its file system is not for them: images and logs of
// containers may lie there too.
const (
	VolumesDir            = StateDir + "/volumes"
	DefaultStorageReserve = "20%"
)
