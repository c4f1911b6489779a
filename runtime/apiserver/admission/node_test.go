package admission

import (
	"context"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
)

// bound are the pods of a cluster, all of UID 1: "namespace/name" on a node.
type bound map[string]string

func (b bound) get(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	node, ok := b[namespace+"/"+name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
	}
	if node == "cannot be read" {
		return nil, errAway
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "1"}, Spec: corev1.PodSpec{NodeName: node}}, nil
}

func node(name string, labels map[string]string, taints ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	for _, key := range taints {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
	return n
}

func TestNodeRestriction(t *testing.T) {
	kubelet := &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:nodes"}}
	someone := &user.DefaultInfo{Name: "system:node:a", Groups: []string{"system:authenticated"}}
	labels := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	const restricted, below = "node-restriction.kubernetes.io/fips", "example.node-restriction.kubernetes.io/fips"
	create := func(n *corev1.Node) write { return write{resource: "nodes", obj: n} }
	update := func(n, old *corev1.Node) write {
		return write{op: admission.Update, resource: "nodes", obj: n, old: old}
	}
	status := func(n, old *corev1.Node) write {
		return write{op: admission.Update, resource: "nodes", subresource: "status", obj: n, old: old}
	}
	lease := func(op admission.Operation, namespace, name string) write {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		return write{op: op, group: "coordination.k8s.io", resource: "leases", obj: l}
	}
	csi := func(op admission.Operation, name string) write {
		return write{op: op, group: "storage.k8s.io", resource: "csinodes", obj: &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	}
	token := func(namespace string, ref *authenticationv1.BoundObjectReference) write {
		return write{resource: "serviceaccounts", subresource: "token", namespace: namespace, obj: &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: ref}}}
	}
	to := func(kind, name, uid string) *authenticationv1.BoundObjectReference {
		return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name, UID: types.UID(uid)}
	}
	tests := []struct {
		name  string
		write write
		want  outcome
	}{
		{"itself", create(node("a", labels("kubernetes.io/hostname", "a"), "new")), allowed},
		{"another", create(node("b", nil)), forbidden},
		{"itself with a restricted label", create(node("a", labels(restricted, "yes"))), forbidden},
		{"with one below it", create(node("a", labels(below, "yes"))), forbidden},
		{"with one that looks like it", create(node("a", labels("not-node-restriction.kubernetes.io/fips", "yes"))), allowed},

		{"itself again", update(node("a", labels("x", "2"), "t"), node("a", labels("x", "1"), "t")), allowed},
		{"another again", update(node("b", nil), node("b", nil)), forbidden},
		{"a taint less", update(node("a", nil), node("a", nil, "t")), forbidden},
		{"a taint more", update(node("a", nil, "t", "u"), node("a", nil, "t")), forbidden},
		{"another taint", update(node("a", nil, "u"), node("a", nil, "t")), forbidden},
		{"a restricted label kept", update(node("a", labels(restricted, "yes", "x", "2")), node("a", labels(restricted, "yes"))), allowed},
		{"a restricted label added", update(node("a", labels(restricted, "yes")), node("a", nil)), forbidden},
		{"a restricted label changed", update(node("a", labels(restricted, "no")), node("a", labels(restricted, "yes"))), forbidden},
		{"a restricted label taken away", update(node("a", nil), node("a", labels(restricted, "yes"))), forbidden},
		{"one of two changed", update(node("a", labels(restricted, "yes", below, "no")), node("a", labels(restricted, "yes", below, "yes"))), forbidden},
		{"its status", status(node("a", labels(restricted, "yes")), node("a", labels(restricted, "yes"))), allowed},
		{"another's status", status(node("b", nil), node("b", nil)), forbidden},

		{"its lease", lease(admission.Create, "kube-node-lease", "a"), allowed},
		{"its lease again", lease(admission.Update, "kube-node-lease", "a"), allowed},
		{"another's lease", lease(admission.Create, "kube-node-lease", "b"), forbidden},
		{"another's lease again", lease(admission.Update, "kube-node-lease", "b"), forbidden},
		{"a lease of its name elsewhere", lease(admission.Create, "kube-system", "a"), forbidden},

		{"its CSINode", csi(admission.Create, "a"), allowed},
		{"its CSINode again", csi(admission.Update, "a"), allowed},
		{"another's CSINode", csi(admission.Create, "b"), forbidden},
		{"another's CSINode again", csi(admission.Update, "b"), forbidden},
		{"anything else of another name", write{resource: "events", obj: &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "e"}}}, allowed},

		{"a token for its pod", token("team", to("Pod", "mine", "1")), allowed},
		{"a token for nothing", token("team", nil), forbidden},
		{"a token for a secret", token("team", to("Secret", "mine", "1")), forbidden},
		{"a token for a node", token("team", to("Node", "a", "1")), forbidden},
		{"a token for a pod without a name", token("team", to("Pod", "", "1")), forbidden},
		{"a token for another's pod", token("team", to("Pod", "theirs", "1")), forbidden},
		{"a token for a pod of no node", token("team", to("Pod", "pending", "1")), forbidden},
		{"a token for a pod that is gone", token("team", to("Pod", "gone", "1")), forbidden},
		{"a token for a pod of another namespace", token("other", to("Pod", "mine", "1")), forbidden},
		{"a token for an older pod of the name", token("team", to("Pod", "mine", "0")), forbidden},
		{"a token for a pod without a UID", token("team", to("Pod", "mine", "")), forbidden},
		{"a token for a pod that cannot be read", token("team", to("Pod", "away", "1")), forbidden},
	}
	plugin := &NodeRestriction{Pod: bound{"team/mine": "a", "team/theirs": "b", "team/pending": "", "team/away": "cannot be read"}.get}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.write.user = kubelet
			err := plugin.Validate(t.Context(), tt.write.attributes(t), nil)
			if got := outcomeOf(err); got != tt.want {
				t.Errorf("%s: %v", got, err)
			}
			// Those that are no nodes are held to their roles only.
			tt.write.user = someone
			if err := plugin.Validate(t.Context(), tt.write.attributes(t), nil); err != nil {
				t.Errorf("someone else: %v", err)
			}
		})
	}
}

func TestRestrictedLabels(t *testing.T) {
	got := restrictedLabels(map[string]string{
		"node-restriction.kubernetes.io/a": "", "x.node-restriction.kubernetes.io/b": "", "x.y.node-restriction.kubernetes.io/c": "",
		"xnode-restriction.kubernetes.io/d": "", "node-restriction.kubernetes.io": "", "kubernetes.io/e": "", "f": "", "node-restriction.kubernetes.io.example.com/g": "",
	})
	slices.Sort(got)
	want := []string{"node-restriction.kubernetes.io/a", "x.node-restriction.kubernetes.io/b", "x.y.node-restriction.kubernetes.io/c"}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
