package csi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// nodeIDs annotates a Node with the names that drivers have for it, a JSON object.
const nodeIDs = "csi.volume.kubernetes.io/nodeid"

// objects are the node's own in the API, as drivers have a part in them.
type objects struct {
	api  kubernetes.Interface
	node string
}

// driver is what the cluster was told of a driver, nil where that is nothing.
func (o objects) driver(ctx context.Context, name string) (*storagev1.CSIDriver, error) {
	d, err := o.api.StorageV1().CSIDrivers().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read CSIDriver %s: %w", name, err)
	}
	return d, nil
}

// writeNode writes a driver's name for the node, and its topology as labels.
func (o objects) writeNode(ctx context.Context, driver, id string, topology map[string]string) (types.UID, error) {
	n, err := o.api.CoreV1().Nodes().Get(ctx, o.node, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	ids, err := idsOf(n)
	if err != nil {
		return "", err
	}
	labels := map[string]any{}
	for key, value := range topology {
		have, ok := n.Labels[key]
		if ok && have != value {
			return "", fmt.Errorf("detected topology value collision: driver reported %q:%q but existing label is %q:%q", key, value, key, have)
		}
		if !ok {
			labels[key] = value
		}
	}
	if ids[driver] == id && len(labels) == 0 {
		return n.UID, nil
	}
	ids[driver] = id
	return n.UID, o.patchNode(ctx, labels, ids)
}

func (o objects) removeFromNode(ctx context.Context, driver string) error {
	n, err := o.api.CoreV1().Nodes().Get(ctx, o.node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ids, err := idsOf(n)
	if err != nil || ids[driver] == "" {
		return err
	}
	delete(ids, driver)
	return o.patchNode(ctx, nil, ids)
}

func idsOf(n *corev1.Node) (map[string]string, error) {
	out := map[string]string{}
	value := n.Annotations[nodeIDs]
	if value == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(value), &out); err != nil {
		return nil, fmt.Errorf("failed to parse node's %q annotation value (%q) err=%w", nodeIDs, value, err)
	}
	return out, nil
}

func (o objects) patchNode(ctx context.Context, labels map[string]any, ids map[string]string) error {
	var value any // none removes the annotation
	if len(ids) > 0 {
		text, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		value = string(text)
	}
	metadata := map[string]any{"annotations": map[string]any{nodeIDs: value}}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	_, err = o.api.CoreV1().Nodes().Patch(ctx, o.node, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// entry is a driver's part of a CSINode.
func entry(name string, info *spec.NodeGetInfoResponse) storagev1.CSINodeDriver {
	out := storagev1.CSINodeDriver{Name: name, NodeID: info.GetNodeId()}
	for key := range info.GetAccessibleTopology().GetSegments() {
		out.TopologyKeys = append(out.TopologyKeys, key)
	}
	slices.Sort(out.TopologyKeys)
	if limit := info.GetMaxVolumesPerNode(); limit > 0 {
		count := int32(min(limit, math.MaxInt32))
		out.Allocatable = &storagev1.VolumeNodeResources{Count: &count}
	}
	return out
}

// writeCSINode writes a driver's part, in place of what was there of it.
func (o objects) writeCSINode(ctx context.Context, node types.UID, entry storagev1.CSINodeDriver) error {
	return o.changeCSINode(ctx, func(n *storagev1.CSINode) {
		n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: o.node, UID: node}}
		n.Spec.Drivers = append(without(n.Spec.Drivers, entry.Name), entry)
	}, true)
}

func (o objects) removeFromCSINode(ctx context.Context, driver string) error {
	return o.changeCSINode(ctx, func(n *storagev1.CSINode) { n.Spec.Drivers = without(n.Spec.Drivers, driver) }, false)
}

func without(drivers []storagev1.CSINodeDriver, name string) []storagev1.CSINodeDriver {
	return slices.DeleteFunc(slices.Clone(drivers), func(d storagev1.CSINodeDriver) bool { return d.Name == name })
}

// changeCSINode changes the CSINode, which others change too, and makes it if make.
func (o objects) changeCSINode(ctx context.Context, change func(*storagev1.CSINode), make bool) error {
	api := o.api.StorageV1().CSINodes()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		have, err := api.Get(ctx, o.node, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			if !make {
				return nil
			}
			n := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: o.node}}
			change(n)
			_, err = api.Create(ctx, n, metav1.CreateOptions{})
			return err
		}
		if err != nil {
			return err
		}
		want := have.DeepCopy()
		if change(want); equality.Semantic.DeepEqual(sorted(have), sorted(want)) {
			return nil
		}
		_, err = api.Update(ctx, want, metav1.UpdateOptions{})
		return err
	})
}

// sorted are the drivers of a CSINode and its owner, in an order of their own.
func sorted(n *storagev1.CSINode) any {
	drivers := slices.Clone(n.Spec.Drivers)
	slices.SortFunc(drivers, func(a, b storagev1.CSINodeDriver) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return []any{drivers, n.OwnerReferences}
}
