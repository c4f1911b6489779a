package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

var errNotSynced = errors.New("the pods are not known yet")

// pod finds the pod that a request names.
func (s *Server) pod(r *http.Request) (*corev1.Pod, error) {
	if !s.cfg.Pods.Synced() {
		return nil, errNotSynced
	}
	namespace, name := r.PathValue("namespace"), r.PathValue("pod")
	if p := s.cfg.Pods.Pod(namespace, name); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("pod %s/%s is not on this node", namespace, name)
}

// find finds the container that a request names; previous asks for the one before the
// newest.
func (s *Server) find(r *http.Request, previous bool) (container.Container, error) {
	p, err := s.pod(r)
	if err != nil {
		return container.Container{}, err
	}
	name := r.PathValue("container")
	if c, _ := pod.FindContainer(&p.Spec, name); c == nil {
		return container.Container{}, fmt.Errorf("container %q is not valid for pod %s/%s", name, p.Namespace, p.Name)
	}
	// The runtime is asked, and not the worker: its memory is its own.
	all, err := s.cfg.Runtime.List(r.Context(), string(p.UID))
	if err != nil {
		return container.Container{}, err
	}
	return pick(p, name, all, previous)
}

// pick picks among the containers of a pod.
func pick(p *corev1.Pod, name string, all []container.Container, previous bool) (container.Container, error) {
	all = slices.DeleteFunc(all, func(c container.Container) bool { return c.Name != name })
	slices.SortFunc(all, func(a, b container.Container) int { return cmp.Compare(b.Restarts, a.Restarts) })
	if previous && len(all) > 0 && (all[0].State == container.StateRunning || endedForGood(p, name)) {
		all = all[1:] // of one that waits to run again, the newest is the previous one
	}
	switch {
	case previous && len(all) == 0:
		return container.Container{}, fmt.Errorf("previous terminated container %q in pod %q not found", name, p.Name)
	case len(all) == 0:
		return container.Container{}, fmt.Errorf("container %q in pod %q is waiting to start: ContainerCreating", name, p.Name)
	}
	return all[0], nil
}

// endedForGood says whether a container has ended for good, as the API was told.
func endedForGood(p *corev1.Pod, name string) bool {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses) {
		if s.Name == name {
			return s.State.Terminated != nil
		}
	}
	return false
}
