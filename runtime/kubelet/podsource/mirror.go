package podsource

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Pauses after which a mirror pod that the API refused is tried again: soon, since an API
// server that has just started does not know everything, and then less and less often.
const (
	firstRefusedDelay = time.Second
	maxRefusedDelay   = time.Minute
)

// Status writes the status of pods of the API, and deletes those that have ended.
type Status interface {
	Write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error
	Delete(ctx context.Context, pod *corev1.Pod) error
	Forget(uid types.UID)
}

// Mirrors shows static pods in the API, each by a mirror pod: it makes them, keeps them as
// long as there is the static pod, and writes their status. Pods of the API are left to
// Status.
type Mirrors struct {
	API    kubernetes.Interface
	Node   func() (*corev1.Node, error) // of this server; their owner
	Pods   *API
	Static *Static
	Status Status
	Log    *slog.Logger

	mu      sync.Mutex
	made    map[cache.ObjectName]*corev1.Pod   // that the watch has not shown yet
	refused map[cache.ObjectName]time.Duration // the pause after the last time
}

// Watch keeps the mirror pods from now on, until ctx is done: one that somebody deletes is
// made again, one of no static pod is deleted.
func (m *Mirrors) Watch(ctx context.Context) error {
	return m.Pods.handleMirrors(func(mirror *corev1.Pod, gone bool) {
		if gone {
			m.drop(mirror)
		}
		if !m.Static.Refresh(mirror.Namespace, mirror.Name) && !gone {
			go m.deleteOrphan(ctx, mirror)
		}
	})
}

// deleteOrphan deletes the mirror pod of a static pod that is not there any more.
func (m *Mirrors) deleteOrphan(ctx context.Context, mirror *corev1.Pod) {
	for ctx.Err() == nil {
		err := m.Status.Delete(ctx, mirror)
		if err == nil {
			return
		}
		m.Log.Warn("the mirror pod of no static pod is not deleted yet", "pod", mirror.Namespace+"/"+mirror.Name, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
	}
}

// Write writes a pod's status; of a static one into its mirror pod, which is made where it
// is missing, or shows an earlier file.
func (m *Mirrors) Write(ctx context.Context, p *corev1.Pod, status corev1.PodStatus) error {
	if !pod.IsStatic(p) {
		return m.Status.Write(ctx, p, status)
	}
	mirror := m.mirror(p)
	current := mirror != nil && mirror.DeletionTimestamp == nil && isMirrorOf(mirror, p)
	if p.DeletionTimestamp != nil {
		// Its end waits for no API.
		if current {
			if err := m.Status.Write(ctx, mirror, status); err != nil {
				m.Log.Warn("the end of a static pod is not told", "pod", p.Namespace+"/"+p.Name, "error", err)
			}
		}
		return nil
	}
	if !current {
		if mirror != nil {
			if err := m.remove(ctx, mirror); err != nil {
				return err
			}
		}
		made, err := m.create(ctx, p)
		switch {
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err):
			m.Log.Warn("a static pod runs, and the API does not show it", "pod", p.Namespace+"/"+p.Name, "error", err)
			time.AfterFunc(m.pause(p), func() { m.Static.Refresh(p.Namespace, p.Name) })
			return nil
		case err != nil:
			return err
		}
		mirror = made
	}
	return m.Status.Write(ctx, mirror, status)
}

// Delete deletes a pod of which nothing is left: of a static one, its mirror pod.
func (m *Mirrors) Delete(ctx context.Context, p *corev1.Pod) error {
	if !pod.IsStatic(p) {
		return m.Status.Delete(ctx, p)
	}
	m.Static.Ended(p.Namespace, p.Name, p.UID)
	if mirror := m.mirror(p); mirror != nil && isMirrorOf(mirror, p) {
		return m.remove(ctx, mirror)
	}
	return nil
}

// mirror is the mirror pod of a static pod's name, as it is known; nil: there is none.
func (m *Mirrors) mirror(p *corev1.Pod) *corev1.Pod {
	seen := m.Pods.Mirror(p.Namespace, p.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	name := cache.MetaObjectToName(p)
	made := m.made[name]
	if made != nil && (seen == nil || seen.UID != made.UID) {
		return made
	}
	delete(m.made, name)
	return seen
}

func (m *Mirrors) remove(ctx context.Context, mirror *corev1.Pod) error {
	if err := m.Status.Delete(ctx, mirror); err != nil {
		return err
	}
	m.drop(mirror)
	return nil
}

// drop forgets a mirror pod that is gone.
func (m *Mirrors) drop(mirror *corev1.Pod) {
	m.Status.Forget(mirror.UID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if name := cache.MetaObjectToName(mirror); m.made[name] != nil && m.made[name].UID == mirror.UID {
		delete(m.made, name)
	}
}

// create makes the mirror pod of a static pod, or finds the one that is there.
func (m *Mirrors) create(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error) {
	node, err := m.Node()
	if err != nil {
		// That the Node is not found is no answer to what is asked of the API below.
		return nil, fmt.Errorf("show the static pod %s/%s: its node is not registered yet: %s", p.Namespace, p.Name, err.Error())
	}
	annotations := maps.Clone(p.Annotations)
	annotations[corev1.MirrorPodAnnotationKey] = p.Annotations[pod.ConfigHashAnnotation]
	pods := m.API.CoreV1().Pods(p.Namespace)
	made, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, Labels: p.Labels, Annotations: annotations, Finalizers: p.Finalizers,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: ptr.To(true)}},
		},
		Spec: p.Spec,
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) { // and the watch has not shown it
		there, failed := pods.Get(ctx, p.Name, metav1.GetOptions{})
		if failed != nil || !isMirrorOf(there, p) || there.DeletionTimestamp != nil {
			return nil, err
		}
		made, err = there, nil
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil {
		m.made = map[cache.ObjectName]*corev1.Pod{}
	}
	m.made[cache.MetaObjectToName(p)] = made
	delete(m.refused, cache.MetaObjectToName(p))
	return made, nil
}

// pause is how long a mirror pod that was refused waits: twice as long each time.
func (m *Mirrors) pause(p *corev1.Pod) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused == nil {
		m.refused = map[cache.ObjectName]time.Duration{}
	}
	name := cache.MetaObjectToName(p)
	m.refused[name] = min(max(firstRefusedDelay, 2*m.refused[name]), maxRefusedDelay)
	return m.refused[name]
}
