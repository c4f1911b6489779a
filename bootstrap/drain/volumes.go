package drain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Volume is a PersistentVolume whose data is on servers that leave, and on no other.
type Volume struct {
	Node, Name, Size string
	// Claim is the claim that has it, or had it, as namespace/name; "" for none.
	Claim string
	// Pods that use the claim, as namespace/name.
	Pods []string
}

// Volumes are those that go with the nodes, by node and name. It changes nothing.
func Volumes(ctx context.Context, c kubernetes.Interface, nodes []string) ([]Volume, error) {
	list, err := c.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list PersistentVolumes: %w", err)
	}
	var out []Volume
	for _, v := range list.Items {
		at := places(&v)
		if v.Spec.Local == nil || len(at) == 0 || slices.ContainsFunc(at, func(node string) bool { return !slices.Contains(nodes, node) }) {
			continue
		}
		size := v.Spec.Capacity[corev1.ResourceStorage]
		found := Volume{Node: strings.Join(at, ", "), Name: v.Name, Size: size.String()}
		if ref := v.Spec.ClaimRef; ref != nil {
			found.Claim = ref.Namespace + "/" + ref.Name
		}
		out = append(out, found)
	}
	if len(out) == 0 {
		return nil, nil
	}
	pods, err := c.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods that use volumes: %w", err)
	}
	for i := range out {
		for _, p := range pods.Items {
			if out[i].Claim != "" && names(&p, out[i].Claim) {
				out[i].Pods = append(out[i].Pods, p.Namespace+"/"+p.Name)
			}
		}
		slices.Sort(out[i].Pods)
	}
	slices.SortFunc(out, func(a, b Volume) int { return strings.Compare(a.Node+" "+a.Name, b.Node+" "+b.Name) })
	return out, nil
}

// places are the hosts that a volume says it is on.
func places(v *corev1.PersistentVolume) []string {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return nil
	}
	var out []string
	for _, term := range v.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, r := range term.MatchExpressions {
			if r.Key == corev1.LabelHostname && r.Operator == corev1.NodeSelectorOpIn {
				out = append(out, r.Values...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// names says whether a volume of the pod is the claim (namespace/name).
func names(p *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		switch {
		case v.PersistentVolumeClaim != nil:
			return p.Namespace+"/"+v.PersistentVolumeClaim.ClaimName == claim
		case v.Ephemeral != nil:
			return p.Namespace+"/"+p.Name+"-"+v.Name == claim
		}
		return false
	})
}
