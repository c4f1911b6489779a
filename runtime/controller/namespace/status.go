package namespace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
)

var conditionsOf condition.Of[corev1.NamespaceCondition, corev1.NamespaceConditionType] = func(c *corev1.NamespaceCondition) condition.Fields[corev1.NamespaceConditionType] {
	return condition.Fields[corev1.NamespaceConditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

// conditions tells why the namespace is still there, in upstream's words.
func (r remains) conditions(old []corev1.NamespaceCondition, now time.Time) []corev1.NamespaceCondition {
	out := slices.Clone(old)
	put := func(t corev1.NamespaceConditionType, bad bool, badReason, badMessage, goodReason, goodMessage string) {
		c := corev1.NamespaceCondition{Type: t, Status: corev1.ConditionFalse, Reason: goodReason, Message: goodMessage}
		if bad {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, badReason, badMessage
		}
		conditionsOf.Set(&out, c, condition.SameMessage, metav1.NewTime(now))
	}
	put(corev1.NamespaceDeletionDiscoveryFailure, r.discovery != nil, "DiscoveryFailed", said("Discovery failed for some groups: ", r.discovery),
		"ResourcesDiscovered", "All resources successfully discovered")
	put(corev1.NamespaceDeletionContentFailure, r.deletion != nil, "ContentDeletionFailed", said("Failed to delete all resource types: ", r.deletion),
		"ContentDeleted", "All content successfully deleted, may be waiting on finalization")
	put(corev1.NamespaceContentRemaining, len(r.objects) > 0, "SomeResourcesRemain", "Some resources are remaining: "+counts(r.objects, "%s has %d resource instances"),
		"ContentRemoved", "All content successfully removed")
	put(corev1.NamespaceFinalizersRemaining, len(r.finalizers) > 0, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+counts(r.finalizers, "%s in %d resource instances"),
		"ContentHasNoFinalizers", "All content-preserving finalizers finished")
	return out
}

func said(prefix string, err error) string {
	if err == nil {
		return ""
	}
	return prefix + err.Error()
}

func counts[K comparable](m map[K]int, format string) string {
	parts := make([]string, 0, len(m))
	for k, n := range m {
		parts = append(parts, fmt.Sprintf(format, asString(k), n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func asString(k any) string {
	if gr, ok := k.(schema.GroupResource); ok && gr.Group == "" {
		return gr.Resource + "."
	}
	return fmt.Sprint(k)
}
