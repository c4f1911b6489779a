package localvolume

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// offer writes into the node's CSINode that it has volumes, where they lie and how large
// they may be together. What is not held to its size is told, too.
func (m *Manager) offer(ctx context.Context) error {
	node, err := m.cfg.API.CoreV1().Nodes().Get(ctx, m.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the node: %w", err)
	}
	api := m.cfg.API.StorageV1().CSINodes()
	have, err := api.Get(ctx, m.cfg.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = api.Create(ctx, m.offered(&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: m.cfg.NodeName}}, node), metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("offer the volumes of this server: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the CSINode: %w", err)
	}
	want := m.offered(have.DeepCopy(), node)
	if equality.Semantic.DeepEqual(have, want) {
		return nil
	}
	if _, err := api.Update(ctx, want, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("offer the volumes of this server: %w", err)
	}
	return nil
}

// offered is a CSINode with the offer. What others registered stays.
func (m *Manager) offered(n *storagev1.CSINode, node *corev1.Node) *storagev1.CSINode {
	n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
	n.Annotations = maps.Clone(n.Annotations)
	for key, value := range map[string]string{
		config.LocalPath: m.cfg.Path, config.LocalCapacity: strconv.FormatInt(m.cfg.Capacity, 10), config.LocalEnforced: "false",
	} {
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, key, value)
	}
	n.Spec.Drivers = slices.DeleteFunc(slices.Clone(n.Spec.Drivers), func(d storagev1.CSINodeDriver) bool { return d.Name == config.LocalDriver })
	n.Spec.Drivers = append(n.Spec.Drivers, storagev1.CSINodeDriver{Name: config.LocalDriver, NodeID: node.Name, TopologyKeys: []string{corev1.LabelHostname}})
	return n
}
