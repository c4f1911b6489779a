// Package volume makes the volumes of pods and takes them away: a manager that brings
// what is on the disk to what the pods ask for, and plugins, one per kind of volume.
//
// What is there is read from the disk, not remembered: a manager that starts anew
// finds the volumes of the one before it. Mounts are unmounted one by one, and nothing
// is deleted while something is mounted in it. It may import runtime/pod and the
// kubelet's packages fieldpath, objects and poddir.
package volume
