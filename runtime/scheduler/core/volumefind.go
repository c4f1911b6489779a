package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

// Why a node cannot have a pod's volumes.
const (
	reasonBindConflict   = "node(s) didn't find available persistent volumes to bind"
	reasonNodeConflict   = "node(s) didn't match PersistentVolume's node affinity"
	reasonNotEnoughSpace = "node(s) did not have enough free storage"
	reasonVolumeGone     = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
)

// placement is what becomes of a pod's unbound claims on a node.
type placement struct {
	node *corev1.Node
	// volumes are bound to claims, a claim each. Once written, each names its claim.
	volumes []*corev1.PersistentVolume
	claims  []*corev1.PersistentVolumeClaim
	// provisions are the claims for which volumes are made.
	provisions []*corev1.PersistentVolumeClaim
}

// find decides on a pod's claims for a node, or says why it cannot be there.
func (pl *volumeBinding) find(st *volumeState, n *corev1.Node) (*placement, []string, error) {
	var reasons []string
	matches, exist, err := pl.checkBound(st.bound, n)
	if err != nil {
		return nil, nil, err
	}
	if !matches {
		reasons = append(reasons, reasonNodeConflict)
	}
	found, ok, room, err := pl.place(st, n)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		reasons = append(reasons, reasonBindConflict)
	}
	if !room {
		reasons = append(reasons, reasonNotEnoughSpace)
	}
	if !exist {
		reasons = append(reasons, reasonVolumeGone)
	}
	return found, reasons, nil
}

// checkBound says whether the bound volumes can be reached from the node, and exist.
func (pl *volumeBinding) checkBound(claims []*corev1.PersistentVolumeClaim, n *corev1.Node) (matches, exist bool, err error) {
	for _, c := range claims {
		v, err := pl.Volumes.Volumes.Get(c.Spec.VolumeName)
		if apierrors.IsNotFound(err) {
			return true, false, nil
		}
		if err != nil {
			return false, false, err
		}
		if reached := volumehelpers.CheckNodeAffinity(v, n.Labels) == nil; !reached {
			return false, true, nil
		}
	}
	return true, true, nil
}

// place finds free volumes for the unbound claims, the smallest claim first, and has the
// rest provisioned.
func (pl *volumeBinding) place(st *volumeState, n *corev1.Node) (found *placement, ok, room bool, err error) {
	found = &placement{}
	var match []*corev1.PersistentVolumeClaim
	for _, c := range st.delayed {
		switch node, selected := c.Annotations[volumehelpers.AnnSelectedNode]; {
		case !selected:
			match = append(match, c)
		case node == n.Name:
			found.provisions = append(found.provisions, c)
		default:
			return found, false, true, nil
		}
	}
	slices.SortStableFunc(match, func(a, b *corev1.PersistentVolumeClaim) int {
		x, y := a.Spec.Resources.Requests[corev1.ResourceStorage], b.Spec.Resources.Requests[corev1.ResourceStorage]
		return x.Cmp(y)
	})
	taken := map[string]*corev1.PersistentVolume{}
	for _, c := range match {
		v, err := volumehelpers.FindMatchingVolume(c, st.free[volumehelpers.GetPersistentVolumeClaimClass(c)], n, taken, true, true)
		switch {
		case err != nil:
			return nil, false, false, err
		case v == nil:
			found.provisions = append(found.provisions, c)
			continue
		}
		taken[v.Name] = v
		found.volumes, found.claims = append(found.volumes, v), append(found.claims, c)
	}
	for _, c := range found.provisions {
		if ok, room, err = pl.canProvision(c, n); !ok || !room || err != nil {
			return nil, ok, room, err
		}
	}
	return found, true, true, nil
}

func (pl *volumeBinding) canProvision(c *corev1.PersistentVolumeClaim, n *corev1.Node) (ok, room bool, err error) {
	name := volumehelpers.GetPersistentVolumeClaimClass(c)
	class, err := pl.Classes.Get(name)
	if err != nil {
		return false, false, fmt.Errorf("failed to find storage class %q", name)
	}
	if class.Provisioner == "" || class.Provisioner == volumehelpers.NotSupportedProvisioner ||
		!inTopology(class.AllowedTopologies, n.Labels) {
		return false, true, nil
	}
	room, err = pl.hasRoom(c, class, n)
	return true, room, err
}

// inTopology says whether a node's labels match a class's topology: any of its terms, each
// with all of its labels. With no terms, every node does.
func inTopology(terms []corev1.TopologySelectorTerm, node map[string]string) bool {
	return len(terms) == 0 || slices.ContainsFunc(terms, func(t corev1.TopologySelectorTerm) bool {
		return len(t.MatchLabelExpressions) > 0 && !slices.ContainsFunc(t.MatchLabelExpressions, func(r corev1.TopologySelectorLabelRequirement) bool {
			value, ok := node[r.Key]
			return !ok || !slices.Contains(r.Values, value)
		})
	})
}

// hasRoom goes by the capacities that the class's driver publishes, if it does.
func (pl *volumeBinding) hasRoom(c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, n *corev1.Node) (bool, error) {
	size, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return true, nil
	}
	driver, err := pl.Drivers.Get(class.Provisioner)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, err
	case !ptr.Deref(driver.Spec.StorageCapacity, false):
		return true, nil
	}
	all, err := pl.Capacities.List(labels.Everything())
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if o.StorageClassName != class.Name || o.NodeTopology == nil {
			continue
		}
		limit := volumeLimit(o)
		if limit == nil || limit.Cmp(size) < 0 {
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(o.NodeTopology)
		if err == nil && s.Matches(labels.Set(n.Labels)) {
			return true, nil
		}
	}
	return false, nil
}

// ofClass are the volumes of a class that no pod is about to get.
func (pl *volumeBinding) ofClass(class string) ([]*corev1.PersistentVolume, error) {
	all, err := pl.Volumes.Volumes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	out := []*corev1.PersistentVolume{}
	for _, v := range all {
		if volumehelpers.GetPersistentVolumeClass(v) == class && !pl.assumed.taken(v.Name) {
			out = append(out, v)
		}
	}
	return out, nil
}

// write makes the objects that are to be written of what was found.
func (f *placement) write(node string) (*placement, error) {
	out := &placement{}
	for i, v := range f.volumes {
		bound, _, err := volumehelpers.GetBindVolumeToClaim(v, f.claims[i])
		if err != nil {
			return nil, err
		}
		out.volumes, out.claims = append(out.volumes, bound), append(out.claims, f.claims[i])
	}
	for _, c := range f.provisions {
		c = c.DeepCopy()
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, volumehelpers.AnnSelectedNode, node)
		out.provisions = append(out.provisions, c)
	}
	return out, nil
}
