package nodepods

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// TestPodsAreFoundByTheirNode; those that are bound to none by nothing.
func TestPodsAreFoundByTheirNode(t *testing.T) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.Pod{}, 0, cache.Indexers{})
	if err := AddIndex(informer); err != nil {
		t.Fatal(err)
	}
	for name, node := range map[string]string{"a": "n", "b": "n", "c": "m", "d": ""} {
		if err := informer.GetIndexer().Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node}}); err != nil {
			t.Fatal(err)
		}
	}
	for node, want := range map[string]int{"n": 2, "m": 1, "": 0, "o": 0} {
		if pods, err := On(informer.GetIndexer(), node); err != nil || len(pods) != want {
			t.Errorf("on %q are %d, %v", node, len(pods), err)
		}
	}
	if _, err := On(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}), "n"); err == nil {
		t.Error("pods are found without the index")
	}
}
