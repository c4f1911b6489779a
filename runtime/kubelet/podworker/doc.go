// Package podworker runs the life of pods, one worker per pod: it observes the pod and
// its containers, decides (runtime/kubelet/podworker/plan, which is pure) and acts.
//
// A worker does everything for its pod in order, woken by changes of the pod, by
// containers that end and by probe results; nothing is polled. What belongs to the
// worker's goroutine is not locked; what others hand it is in its mailbox. All state
// that has to outlive the process is kept with the containers and in the kernel, so
// that a restart adopts what runs.
//
// It may import runtime/pod and the kubelet's packages admit, container, containerspec,
// images, poddir, podlog, probe and status, and declares the rest of what it needs.
package podworker
