package deployment

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
)

// sets are a deployment's replica sets: the one of the present template, nil when
// it is still to be made, and all others, oldest first.
type sets struct {
	new *appsv1.ReplicaSet
	old []*appsv1.ReplicaSet
}

func (s sets) all() []*appsv1.ReplicaSet {
	all := slices.Clone(s.old)
	if s.new != nil {
		all = append(all, s.new)
	}
	return all
}

func (s sets) replace(rs *appsv1.ReplicaSet) {
	for i := range s.old {
		if s.old[i].UID == rs.UID {
			s.old[i] = rs
		}
	}
}

func sizeOf(rs *appsv1.ReplicaSet) size {
	if rs == nil {
		return size{}
	}
	return size{want: ptr.Deref(rs.Spec.Replicas, 1), available: rs.Status.AvailableReplicas}
}

func sizesOf(list []*appsv1.ReplicaSet) []size {
	out := make([]size, len(list))
	for i, rs := range list {
		out[i] = sizeOf(rs)
	}
	return out
}

// sortSets finds the set of the present template: of several, the oldest, so that
// the choice is stable.
func sortSets(d *appsv1.Deployment, list []*appsv1.ReplicaSet) sets {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *appsv1.ReplicaSet) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	var s sets
	for _, rs := range list {
		if s.new == nil && sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
			s.new = rs
			continue
		}
		s.old = append(s.old, rs)
	}
	return s
}

// sameTemplate compares templates without the hash that only sets' have.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	delete(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return equality.Semantic.DeepEqual(a, b)
}

// templateHash names the set of a template. collisions makes another name when
// another template already has it.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) (string, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("hash the pod template: %w", err)
	}
	h := fnv.New32a()
	h.Write(body)
	if collisions != nil {
		fmt.Fprintf(h, "/%d", *collisions)
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10)), nil
}

// newSet is the replica set of the present template, of size 0.
func newSet(d *appsv1.Deployment, hash string, rev int64) *appsv1.ReplicaSet {
	template := d.Spec.Template.DeepCopy()
	template.Labels = with(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = with(selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + hash, Namespace: d.Namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{controllerref.Ref(d, kind)},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32), MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: *template,
		},
	}
	annotate(rs, d, rev)
	return rs
}

func with(m map[string]string, key, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	out[key] = value
	return out
}

// annotate brings the deployment's annotations and the revision to the new set;
// false when it has them. A set that is rolled back to keeps its former
// revisions in the history annotation.
func annotate(rs *appsv1.ReplicaSet, d *appsv1.Deployment, rev int64) bool {
	changed := false
	set := func(k, v string) {
		if rs.Annotations[k] != v {
			rs.Annotations = with(rs.Annotations, k, v)
			changed = true
		}
	}
	for k, v := range d.Annotations {
		switch k {
		case corev1.LastAppliedConfigAnnotation, revisionAnnotation, revisionHistoryAnnotation,
			desiredAnnotation, maxAnnotation, appsv1.DeprecatedRollbackTo:
		default:
			set(k, v)
		}
	}
	if was := revision(rs.Annotations); was < rev {
		if was > 0 {
			history := rs.Annotations[revisionHistoryAnnotation]
			if history != "" {
				history += ","
			}
			set(revisionHistoryAnnotation, history+strconv.FormatInt(was, 10))
		}
		set(revisionAnnotation, strconv.FormatInt(rev, 10))
	}
	return changed
}

// noteSize records the sizes by which a later scaling is shared out.
func noteSize(rs *appsv1.ReplicaSet, want, most int32) bool {
	w, m := strconv.Itoa(int(want)), strconv.Itoa(int(most))
	if rs.Annotations[desiredAnnotation] == w && rs.Annotations[maxAnnotation] == m {
		return false
	}
	rs.Annotations = with(with(rs.Annotations, desiredAnnotation, w), maxAnnotation, m)
	return true
}

// expired returns the old sets beyond the history limit, oldest revision first.
func expired(d *appsv1.Deployment, old []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	if d.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	var idle []*appsv1.ReplicaSet
	for _, rs := range old {
		if rs.DeletionTimestamp == nil && ptr.Deref(rs.Spec.Replicas, 1) == 0 && rs.Status.Replicas == 0 && rs.Generation <= rs.Status.ObservedGeneration {
			idle = append(idle, rs)
		}
	}
	excess := len(idle) - int(*d.Spec.RevisionHistoryLimit)
	if excess <= 0 {
		return nil
	}
	slices.SortStableFunc(idle, func(a, b *appsv1.ReplicaSet) int { return int(revision(a.Annotations) - revision(b.Annotations)) })
	return idle[:excess]
}
