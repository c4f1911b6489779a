// Package scheduler is the process that binds pods to nodes: informers feed the
// state of the pure core (scheduler/core) and the queue of waiting pods; one
// goroutine takes pods off the queue and decides; bindings are written by others,
// on the assumption that they succeed. It may import runtime/client,
// runtime/config and its own subpackages.
package scheduler
