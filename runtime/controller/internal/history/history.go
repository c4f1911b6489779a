package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
)

// History is the revisions of one owner: that of the present template and all
// others, oldest first.
type History struct {
	Current *appsv1.ControllerRevision
	Old     []*appsv1.ControllerRevision
}

// Named returns the revision of a name, or nil.
func (h History) Named(name string) *appsv1.ControllerRevision {
	if h.Current != nil && h.Current.Name == name {
		return h.Current
	}
	for _, r := range h.Old {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// patch is what kubectl rollout undo applies to the owner as a strategic merge:
// the template as a whole.
func patch(t *corev1.PodTemplateSpec) ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the pod template: %w", err)
	}
	template := map[string]any{}
	if err := json.Unmarshal(body, &template); err != nil {
		return nil, fmt.Errorf("encode the pod template: %w", err)
	}
	template["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
}

// Template is the pod template that a revision keeps.
func Template(r *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var kept struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Data.Raw, &kept); err != nil {
		return nil, fmt.Errorf("read the template of ControllerRevision %s/%s: %w", r.Namespace, r.Name, err)
	}
	return &kept.Spec.Template, nil
}

// arrange finds the revision of a template among all: of several, the newest. One
// that cannot be read, or was written by hand, is just another one.
func arrange(all []*appsv1.ControllerRevision, t *corev1.PodTemplateSpec) (History, error) {
	now, err := patch(t)
	if err != nil {
		return History{}, err
	}
	list := slices.Clone(all)
	slices.SortFunc(list, older)
	var h History
	for _, r := range slices.Backward(list) {
		if h.Current == nil && keeps(r, now, t) {
			h.Current = r
			continue
		}
		h.Old = append(h.Old, r)
	}
	slices.Reverse(h.Old)
	return h, nil
}

// keeps compares bytes first, then meaning: another version of the programs may
// write the same template in another way.
func keeps(r *appsv1.ControllerRevision, now []byte, t *corev1.PodTemplateSpec) bool {
	if bytes.Equal(r.Data.Raw, now) {
		return true
	}
	was, err := Template(r)
	return err == nil && equality.Semantic.DeepEqual(was, t)
}

func older(a, b *appsv1.ControllerRevision) int {
	switch {
	case a.Revision != b.Revision:
		return int(a.Revision - b.Revision)
	case !a.CreationTimestamp.Equal(&b.CreationTimestamp):
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	}
	return bytes.Compare([]byte(a.Name), []byte(b.Name))
}

// next is the number of the next revision.
func (h History) next() int64 {
	var n int64
	for _, r := range h.Old {
		n = max(n, r.Revision)
	}
	return n + 1
}

// hashOf names a revision. collisions makes another name when another template
// already has it.
func hashOf(data []byte, collisions *int32) string {
	h := fnv.New32a()
	h.Write(data)
	if collisions != nil {
		fmt.Fprintf(h, "/%d", *collisions)
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// newRevision keeps a template. Its labels are the template's, by which kubectl
// finds it, and the hash.
func newRevision(parent metav1.Object, ref metav1.OwnerReference, hashLabel string, data []byte, t *corev1.PodTemplateSpec, collisions *int32, number int64) *appsv1.ControllerRevision {
	hash := hashOf(data, collisions)
	labels := map[string]string{hashLabel: hash}
	for k, v := range t.Labels {
		labels[k] = v
	}
	annotations := map[string]string{}
	for k, v := range parent.GetAnnotations() {
		if k != corev1.LastAppliedConfigAnnotation {
			annotations[k] = v
		}
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: parent.GetName() + "-" + hash, Namespace: parent.GetNamespace(),
			Labels: labels, Annotations: annotations, OwnerReferences: []metav1.OwnerReference{ref},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: number,
	}
}

// expired returns the old revisions beyond the limit, oldest first, that no pod
// is of. A negative limit keeps all.
func expired(old []*appsv1.ControllerRevision, inUse func(*appsv1.ControllerRevision) bool, limit int) []*appsv1.ControllerRevision {
	if limit < 0 {
		return nil
	}
	var idle []*appsv1.ControllerRevision
	for _, r := range old {
		if r.DeletionTimestamp == nil && !inUse(r) {
			idle = append(idle, r)
		}
	}
	return idle[:max(0, len(idle)-limit)]
}
