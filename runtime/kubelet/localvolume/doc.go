// Package localvolume keeps the directories of this server that are the cluster's own
// volumes (driver local.gantry.run). It offers them in the node's CSINode, makes the
// directory of a PersistentVolume for its first pod, and removes it once the object is
// being deleted and its claim is gone.
//
// A directory is made under another name, the object is told, and then it gets its own: so
// one of which the object says that it was made, and that is not there, is lost, and is
// never replaced by an empty one. One whose object says nothing is nobody's, and one that
// no object knows stays: it is somebody's data.
//
// It may import runtime/client and runtime/config.
package localvolume
