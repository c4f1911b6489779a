// Package pvcprotection keeps a PersistentVolumeClaim that is deleted until no pod on a
// node uses it (finalizer kubernetes.io/pvc-protection), and says in its status since when
// none does (condition Unused).
package pvcprotection
