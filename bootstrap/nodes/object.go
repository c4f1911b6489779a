package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// AppliedAnnotation remembers which labels, annotations and taints a Node has of
// us, so that one that is no longer wanted is told from one of somebody else.
const AppliedAnnotation = "gantry.run/applied"

// Applied is the content of the annotation: keys, and key:effect of taints.
type Applied struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
	Taints      []string `json:"taints,omitempty"`
}

// Update is the change after which the Node has what it should, and no cordon that an
// interrupted drain may have left on a node that is wanted; nil when it is so already.
func Update(ctx context.Context, api kubernetes.Interface, n spec.Node) (step.Change, error) {
	node, err := api.CoreV1().Nodes().Get(ctx, n.Host.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("see what node %s has: %w", n.Host.Name, err)
	}
	differs := conform(node, n)
	if len(differs) == 0 {
		return nil, nil
	}
	return step.UpdateNode{Via: update{api, n}, Node: n.Host.Name, Differs: differs}, nil
}

type update struct {
	api  kubernetes.Interface
	want spec.Node
}

// Update makes the change to the Node as it is by then.
func (u update) Update(ctx context.Context) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		node, err := u.api.CoreV1().Nodes().Get(ctx, u.want.Host.Name, metav1.GetOptions{})
		if err != nil || len(conform(node, u.want)) == 0 {
			return err
		}
		_, err = u.api.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("apply labels, annotations and taints of node %s: %w", u.want.Host.Name, err)
	}
	return nil
}

// conform changes node to what n wants and declares, and says in words what differed.
func conform(node *corev1.Node, n spec.Node) []string {
	declared, differs := declare(node, n), reconcile(node, n)
	if declared {
		differs = append(differs, "annotation "+HostAnnotation+" differs")
	}
	return differs
}

// AppliedOf is what the Node has of us; what cannot be read is none.
func AppliedOf(n *corev1.Node) Applied {
	var out Applied
	json.Unmarshal([]byte(n.Annotations[AppliedAnnotation]), &out) //nolint:errcheck // ours or empty
	return out
}

// Drift says in words how the Node differs from what n wants; nil is a Node that is
// not there.
func Drift(node *corev1.Node, n spec.Node) []string {
	if node == nil {
		return []string{"its Node is missing"}
	}
	var drift []string
	for _, d := range reconcile(node.DeepCopy(), n) {
		drift = append(drift, "its Node: "+d)
	}
	return drift
}

// TaintID tells a taint from the others of a node.
func TaintID(key, effect string) string { return key + ":" + effect }

// system reports whether a taint is the cluster's own business: those of its
// controllers come and go with a node's condition.
func system(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	return ok && (domain == "kubernetes.io" || domain == "k8s.io" || strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io"))
}

// reconcile changes node to what n wants, and says in words what differed.
func reconcile(node *corev1.Node, n spec.Node) (drift []string) {
	old := AppliedOf(node)
	var now Applied
	drift = append(drift, mapDrift("label", &node.Labels, n.Labels, old.Labels)...)
	drift = append(drift, mapDrift("annotation", &node.Annotations, n.Annotations, old.Annotations)...)
	drift = append(drift, taintDrift(node, n.Taints, old.Taints)...)
	if _, ours := node.Annotations[drain.CordonAnnotation]; ours {
		drift = append(drift, "is still cordoned by a removal that was given up")
		delete(node.Annotations, drain.CordonAnnotation)
		node.Spec.Unschedulable = false
	}
	now.Labels, now.Annotations = slices.Sorted(maps.Keys(n.Labels)), slices.Sorted(maps.Keys(n.Annotations))
	for _, t := range n.Taints {
		now.Taints = append(now.Taints, TaintID(t.Key, t.Effect))
	}
	data, _ := json.Marshal(now) // strings only
	if node.Annotations[AppliedAnnotation] != string(data) {
		if len(drift) == 0 {
			drift = append(drift, "annotation "+AppliedAnnotation+" differs")
		}
		if node.Annotations == nil {
			node.Annotations = map[string]string{}
		}
		node.Annotations[AppliedAnnotation] = string(data)
	}
	return drift
}

// mapDrift brings what is wanted into have, and takes out what was and is no longer.
func mapDrift(what string, have *map[string]string, want map[string]string, was []string) (drift []string) {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		v, ok := (*have)[k]
		switch {
		case !ok:
			drift = append(drift, fmt.Sprintf("%s %s is missing", what, k))
		case v != want[k]:
			drift = append(drift, fmt.Sprintf("%s %s is %q instead of %q", what, k, v, want[k]))
		default:
			continue
		}
		if *have == nil {
			*have = map[string]string{}
		}
		(*have)[k] = want[k]
	}
	for _, k := range was {
		_, wanted := want[k]
		if _, there := (*have)[k]; there && !wanted {
			drift = append(drift, fmt.Sprintf("%s %s is no longer wanted", what, k))
			delete(*have, k)
		}
	}
	return drift
}

func taintDrift(node *corev1.Node, want []spec.Taint, was []string) (drift []string) {
	var keep []corev1.Taint
	for _, t := range node.Spec.Taints {
		id := TaintID(t.Key, string(t.Effect))
		i := slices.IndexFunc(want, func(w spec.Taint) bool { return TaintID(w.Key, w.Effect) == id })
		switch {
		case i >= 0 && want[i].Value == t.Value:
		case i >= 0:
			drift = append(drift, fmt.Sprintf("taint %s has value %q instead of %q", id, t.Value, want[i].Value))
			t.Value = want[i].Value
		case slices.Contains(was, id):
			drift = append(drift, fmt.Sprintf("taint %s is no longer wanted", id))
			continue
		case !system(t.Key):
			drift = append(drift, fmt.Sprintf("taint %s is not of the configuration", id))
			continue
		}
		keep = append(keep, t)
	}
	for _, w := range want {
		id := TaintID(w.Key, w.Effect)
		if !slices.ContainsFunc(keep, func(t corev1.Taint) bool { return TaintID(t.Key, string(t.Effect)) == id }) {
			drift = append(drift, fmt.Sprintf("taint %s is missing", id))
			keep = append(keep, corev1.Taint{Key: w.Key, Value: w.Value, Effect: corev1.TaintEffect(w.Effect)})
		}
	}
	node.Spec.Taints = keep
	return drift
}
