package podautoscaler

import (
	"cmp"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// selectors are those of the targets of HorizontalPodAutoscalers, as they were seen last.
// The zero value is ready to use.
type selectors struct {
	mu sync.Mutex
	of map[string]map[types.NamespacedName]labels.Selector // by namespace
}

func (s *selectors) put(key types.NamespacedName, selector labels.Selector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]map[types.NamespacedName]labels.Selector{}
	}
	if s.of[key.Namespace] == nil {
		s.of[key.Namespace] = map[types.NamespacedName]labels.Selector{}
	}
	s.of[key.Namespace][key] = selector
}

func (s *selectors) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.of[key.Namespace], key); len(s.of[key.Namespace]) == 0 {
		delete(s.of, key.Namespace)
	}
}

// selecting are those whose selectors match one of a namespace's pods, in order.
func (s *selectors) selecting(namespace string, pods []*corev1.Pod) []types.NamespacedName {
	// The pods of a target mostly have the same labels.
	kinds := map[string]labels.Set{}
	for _, p := range pods {
		kinds[labels.Set(p.Labels).String()] = p.Labels
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []types.NamespacedName
	for key, selector := range s.of[namespace] {
		for _, set := range kinds {
			if selector.Matches(set) {
				out = append(out, key)
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b types.NamespacedName) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
