package localvolume

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// offer is what a node has for volumes.
type offer struct {
	path     string
	capacity int64 // bytes
}

// offerOf is what the kubelet wrote into its CSINode; false when it offers nothing.
func offerOf(n *storagev1.CSINode) (offer, bool) {
	if n == nil || !slices.ContainsFunc(n.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == config.LocalDriver }) {
		return offer{}, false
	}
	capacity, err := strconv.ParseInt(n.Annotations[config.LocalCapacity], 10, 64)
	o := offer{path: n.Annotations[config.LocalPath], capacity: capacity}
	return o, err == nil && o.path != ""
}

// publish writes the CSIStorageCapacities of a node, one for each class.
func (r *Controller) publish(ctx context.Context, node string) error {
	want, err := r.capacitiesOf(node)
	if err != nil {
		return err
	}
	api := r.client.StorageV1().CSIStorageCapacities(metav1.NamespaceSystem)
	have, err := r.capacities.CSIStorageCapacities(metav1.NamespaceSystem).List(labels.SelectorFromSet(labels.Set{config.LocalVolumeNode: node}))
	if err != nil {
		return fmt.Errorf("list the capacities of node %s: %w", node, err)
	}
	for _, o := range have {
		w := want[o.Name]
		delete(want, o.Name)
		switch {
		case w == nil || !equality.Semantic.DeepEqual(w.NodeTopology, o.NodeTopology): // which cannot be changed
			err = api.Delete(ctx, o.Name, metav1.DeleteOptions{})
		case !equality.Semantic.DeepEqual(w.Capacity, o.Capacity):
			w.ResourceVersion = o.ResourceVersion
			_, err = api.Update(ctx, w, metav1.UpdateOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("write CSIStorageCapacity %s: %w", o.Name, err)
		}
	}
	for _, w := range want {
		if _, err := api.Create(ctx, w, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create CSIStorageCapacity %s: %w", w.Name, err)
		}
	}
	return nil
}

// capacitiesOf are those that a node should have, by name.
func (r *Controller) capacitiesOf(node string) (map[string]*storagev1.CSIStorageCapacity, error) {
	csiNode, err := reconcile.Get(r.csiNodes, "CSINode "+node, node)
	if err != nil {
		return nil, err
	}
	host, err := reconcile.Get(r.nodes, "Node "+node, node)
	if err != nil {
		return nil, err
	}
	o, ok := offerOf(csiNode)
	if !ok || host == nil {
		return nil, nil
	}
	used, err := r.used(node)
	if err != nil {
		return nil, err
	}
	classes, err := r.classes.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list StorageClasses: %w", err)
	}
	out := map[string]*storagev1.CSIStorageCapacity{}
	for _, c := range classes {
		if c.Provisioner != config.LocalDriver {
			continue
		}
		name := c.Name + "." + node
		out[name] = &storagev1.CSIStorageCapacity{
			ObjectMeta:       metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceSystem, Labels: map[string]string{config.LocalVolumeNode: node}},
			NodeTopology:     &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelHostname: host.Labels[corev1.LabelHostname]}},
			StorageClassName: c.Name, Capacity: resource.NewQuantity(max(o.capacity-used, 0), resource.BinarySI),
		}
	}
	return out, nil
}
