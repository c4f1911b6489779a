package core

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	volumehelpers "k8s.io/component-helpers/storage/volume"
)

// assumedVolumes is what was decided and the caches do not show yet. Scheduling cycles add
// to it, binding cycles take away.
type assumedVolumes struct {
	mu sync.Mutex
	// byPod is what pods are about to get, by their UIDs.
	byPod map[types.UID]*placement
}

func (a *assumedVolumes) add(of types.UID, p *placement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byPod == nil {
		a.byPod = map[types.UID]*placement{}
	}
	a.byPod[of] = p
}

func (a *assumedVolumes) remove(of types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byPod, of)
}

// taken says whether a pod is about to get the volume.
func (a *assumedVolumes) taken(volume string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.byPod {
		for _, v := range p.volumes {
			if v.Name == volume {
				return true
			}
		}
	}
	return false
}

// overlay is a claim with the node on which a volume is about to be made for it, for
// another pod that has the claim too.
func (a *assumedVolumes) overlay(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.byPod {
		for _, o := range p.provisions {
			if o.UID == c.UID && c.Annotations[volumehelpers.AnnSelectedNode] == "" {
				c = c.DeepCopy()
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, volumehelpers.AnnSelectedNode, o.Annotations[volumehelpers.AnnSelectedNode])
				return c
			}
		}
	}
	return c
}
