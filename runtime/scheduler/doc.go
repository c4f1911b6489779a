// Package scheduler is the process that binds pods to nodes.
//
// Informers feed the cache of changes and the queue of pods that wait. One goroutine
// runs scheduling cycles: it takes a pod off the queue, brings the snapshot up to
// date, decides on it alone (scheduler/core) and assumes that the pod is on the
// node. Nothing that informers need is locked meanwhile. Binding cycles run beside
// it, a goroutine each.
//
// It imports runtime/client, runtime/config, runtime/pod, runtime/process/readiness and
// its own subpackages.
package scheduler
