package nodestatus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeletapis "k8s.io/kubelet/pkg/apis"
)

// register makes the Node, or brings the labels of an existing one up to date.
// Taints are set only once: later they are the operator's.
func (r *Reporter) register(ctx context.Context) (*corev1.Node, error) {
	nodes := r.cfg.API.CoreV1().Nodes()
	labels := map[string]string{
		corev1.LabelHostname: r.cfg.NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: r.cfg.Machine.Arch,
	}
	for key, v := range r.cfg.Labels {
		if ownLabel(key) {
			labels[key] = v
		}
	}
	created, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: r.cfg.NodeName, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: r.cfg.Taints},
		Status:     compute(corev1.NodeStatus{}, r.observe(ctx)),
	}, metav1.CreateOptions{})
	if err == nil {
		return created, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("register the node %s: %w", r.cfg.NodeName, err)
	}
	have, err := nodes.Get(ctx, r.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the node %s: %w", r.cfg.NodeName, err)
	}
	missing := map[string]string{}
	for key, v := range labels {
		if have.Labels[key] != v {
			missing[key] = v
		}
	}
	if len(missing) == 0 {
		return have, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
	if err != nil {
		return nil, err
	}
	have, err = nodes.Patch(ctx, r.cfg.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("label the node %s: %w", r.cfg.NodeName, err)
	}
	return have, nil
}

// ownLabel reports whether a node may give itself a label. Of the domains kubernetes.io
// and k8s.io it may only have the kubelets' own, and none that restricts nodes: the API
// refuses the others, which the apply sets with the administrator's certificate.
func ownLabel(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return true
	}
	of := func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }
	if of(corev1.LabelNamespaceNodeRestriction) {
		return false
	}
	return !of("kubernetes.io") && !of("k8s.io") || kubeletapis.IsKubeletLabel(key)
}
