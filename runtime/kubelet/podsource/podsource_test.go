package podsource

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
)

func apiPod(name, uid string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(uid)}, Spec: corev1.PodSpec{NodeName: "n"}}
}

// handler keeps what it is told: +uid, -uid.
type handler struct {
	mu   sync.Mutex
	told []string
}

func (h *handler) UpdatePod(p *corev1.Pod) { h.tell("+" + string(p.UID)) }
func (h *handler) DeletePod(p *corev1.Pod) { h.tell("-" + string(p.UID)) }
func (h *handler) tell(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, what)
}

// until waits until it was told all of that.
func (h *handler) until(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	patience.Eventually(t, "it is told", func() error {
		h.mu.Lock()
		all := slices.Clone(h.told)
		h.mu.Unlock()
		if slices.Sort(all); !slices.Equal(all, want) {
			return fmt.Errorf("told %s, want %s", strings.Join(all, " "), strings.Join(want, " "))
		}
		return nil
	})
}

// fixed is a source of pods that never change, as a directory of manifests might be.
type fixed struct {
	pods   []*corev1.Pod
	synced bool
}

func (f *fixed) Start(context.Context) { f.synced = true }
func (f *fixed) Synced() bool          { return f.synced }
func (f *fixed) Pods() []*corev1.Pod   { return f.pods }
func (f *fixed) Pod(namespace, name string) *corev1.Pod {
	for _, p := range f.pods {
		if p.Namespace == namespace && p.Name == name {
			return p
		}
	}
	return nil
}

func (f *fixed) Handle(h Handler) error {
	for _, p := range f.pods {
		h.UpdatePod(p)
	}
	return nil
}

func TestSources(t *testing.T) {
	client := fake.NewClientset(apiPod("a", "1"))
	var selector string
	client.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		selector = a.(clienttesting.ListAction).GetListRestrictions().Fields.String()
		return false, nil, nil
	})
	s := Join{NewAPI(client, "n"), &fixed{pods: []*corev1.Pod{apiPod("static", "s")}}}
	if s.Synced() {
		t.Error("synced before the start")
	}
	s.Start(t.Context())
	patience.Until(t, "both are synced", s.Synced)
	if selector != "spec.nodeName=n" {
		t.Fatalf("synced with selector %q", selector)
	}
	if all := s.Pods(); len(all) != 2 || all[0].Name != "a" || all[1].Name != "static" {
		t.Errorf("pods %v", all)
	}
	for name, want := range map[string]bool{"a": true, "static": true, "none": false} {
		if got := s.Pod("ns", name); (got != nil) != want || got != nil && got.Name != name {
			t.Errorf("%s: %v", name, got)
		}
	}
	h := &handler{}
	if err := s.Handle(h); err != nil {
		t.Fatal(err)
	}
	h.until(t, "+1", "+s")
	pods := client.CoreV1().Pods("ns")
	if _, err := pods.Create(t.Context(), apiPod("b", "2"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, "+1", "+s", "+2")
	if err := pods.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, "+1", "+s", "+2", "-1")
}

// TestAnotherPodOfThatName: a watch that broke may show the new pod where the old one was.
func TestAnotherPodOfThatName(t *testing.T) {
	h := &handler{}
	update(h, apiPod("a", "1"), apiPod("a", "1"))
	update(h, apiPod("a", "1"), apiPod("a", "2"))
	if got := strings.Join(h.told, " "); got != "+1 -1 +2" {
		t.Errorf("told %s", got)
	}
}

func TestGone(t *testing.T) {
	s := &fixed{pods: []*corev1.Pod{apiPod("a", "1"), apiPod("b", "2")}}
	gone := Gone(s, []*corev1.Pod{apiPod("a", "1"), apiPod("b", "old"), apiPod("c", "3")})
	if len(gone) != 2 || gone[0].UID != "old" || gone[1].UID != "3" {
		t.Errorf("gone are %v", gone)
	}
}
