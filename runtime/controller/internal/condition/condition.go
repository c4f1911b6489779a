package condition

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fields lead to what the conditions of all kinds have. The time is that of the last
// transition.
type Fields[T ~string] struct {
	Type            T
	Status          *corev1.ConditionStatus
	Reason, Message *string
	Time            *metav1.Time
}

// Of says where one kind's conditions have their fields.
type Of[C any, T ~string] func(*C) Fields[T]

// Sameness is what must be equal of two conditions for the older one to stay.
type Sameness int

// What must be equal; each includes the former.
const (
	SameStatus Sameness = iota
	SameReason
	SameMessage
)

// Find returns the condition of a type, nil if there is none. The pointer leads into
// list.
func (of Of[C, T]) Find(list []C, t T) *C {
	for i := range list {
		if of(&list[i]).Type == t {
			return &list[i]
		}
	}
	return nil
}

// IsTrue says whether the condition of a type is there and true.
func (of Of[C, T]) IsTrue(list []C, t T) bool {
	c := of.Find(list, t)
	return c != nil && *of(c).Status == corev1.ConditionTrue
}

// Set puts the condition of c's type, in its place if it is there, and says whether
// the list changed. One that is the same stays as it is.
func (of Of[C, T]) Set(list *[]C, c C, same Sameness, now metav1.Time) bool {
	n := of(&c)
	*n.Time = now
	old := of.Find(*list, n.Type)
	if old == nil {
		*list = append(*list, c)
		return true
	}
	o := of(old)
	sameStatus := *o.Status == *n.Status
	if sameStatus && (same < SameReason || *o.Reason == *n.Reason) && (same < SameMessage || *o.Message == *n.Message) {
		return false
	}
	if sameStatus {
		*n.Time = *o.Time
	}
	*old = c
	return true
}

// Remove takes the condition of a type away, if it is there.
func (of Of[C, T]) Remove(list *[]C, t T) {
	*list = slices.DeleteFunc(*list, func(c C) bool { return of(&c).Type == t })
}
