// Package persistentvolume binds PersistentVolumeClaims to PersistentVolumes, as
// upstream's persistentvolume-binder does: a claim gets the smallest volume that it can
// have, asks a provisioner for one, or waits for a pod; a volume whose claim is gone is
// kept, or left to who provisioned it.
//
// A binding is two objects that name each other, and four writes. The volume is written
// first: where two claims want it, only one write succeeds. Whatever order these are
// interrupted in, each object's own reconciliation completes the binding or undoes it.
package persistentvolume
