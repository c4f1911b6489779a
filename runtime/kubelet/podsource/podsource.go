// Package podsource tells which pods this node is to run: those that the API bound to
// it, joined with static pods, whose manifests are in a directory of the server and which
// mirror pods show in the API. It may import runtime/client and runtime/pod.
package podsource

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// Handler takes up pods. It is called for each pod that there is, and for each change.
type Handler interface {
	UpdatePod(pod *corev1.Pod)
	DeletePod(pod *corev1.Pod)
}

// Source is where pods of this node come from.
type Source interface {
	// Start begins to read the pods; it stops when ctx is done.
	Start(ctx context.Context)
	// Synced reports whether all pods that there were at the start are known.
	Synced() bool
	// Pods are those that are known.
	Pods() []*corev1.Pod
	// Pod is one of them; nil when it is not known.
	Pod(namespace, name string) *corev1.Pod
	// Handle has changes handled from now on, those that are known first.
	Handle(h Handler) error
}

// Join is all sources as one. They do not have pods of the same name.
type Join []Source

// Start implements Source.
func (j Join) Start(ctx context.Context) {
	for _, s := range j {
		s.Start(ctx)
	}
}

// Synced implements Source.
func (j Join) Synced() bool {
	for _, s := range j {
		if !s.Synced() {
			return false
		}
	}
	return true
}

// Pods implements Source.
func (j Join) Pods() []*corev1.Pod {
	var out []*corev1.Pod
	for _, s := range j {
		out = append(out, s.Pods()...)
	}
	return out
}

// Pod implements Source.
func (j Join) Pod(namespace, name string) *corev1.Pod {
	for _, s := range j {
		if p := s.Pod(namespace, name); p != nil {
			return p
		}
	}
	return nil
}

// Handle implements Source.
func (j Join) Handle(h Handler) error {
	for _, s := range j {
		if err := s.Handle(h); err != nil {
			return err
		}
	}
	return nil
}

// Gone are those of pods that the source does not have any more.
func Gone(s Source, pods []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range pods {
		if now := s.Pod(p.Namespace, p.Name); now == nil || now.UID != p.UID {
			out = append(out, p)
		}
	}
	return out
}
