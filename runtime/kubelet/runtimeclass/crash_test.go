package runtimeclass

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/runtime/durable/crashtest"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// TestAPodKeepsItsHandlerAfterCrashes: whatever a crash leaves, a pod of a class is never
// run by another runtime than its own, and once it was begun it needs no class.
func TestAPodKeepsItsHandlerAfterCrashes(t *testing.T) {
	class := "vm"
	p := &corev1.Pod{Spec: corev1.PodSpec{RuntimeClassName: &class}}
	p.UID = "u"
	dir := t.TempDir()
	disk := crashtest.New(dir)
	if err := os.MkdirAll(filepath.Join(dir, "pods", "u"), 0o755); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientset(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Handler: "kata"})
	m := Manager{API: api, Layout: poddir.Layout{Root: dir}, Disk: disk, Handlers: []string{"", "kata"}}
	if got, err := m.Handler(t.Context(), p); got != "kata" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	disk.Mark()
	check := func(dir, state string, begun bool) {
		m.Layout.Root, m.Disk, m.API = dir, nil, fake.NewClientset()
		if got, err := m.Handler(t.Context(), p); got != "kata" && (err == nil || begun) {
			t.Errorf("%s, its class is gone: %q, %v", state, got, err)
		}
		m.API = api
		if got, err := m.Handler(t.Context(), p); got != "kata" || err != nil {
			t.Errorf("%s: %q, %v", state, got, err)
		}
	}
	for crash, err := range disk.Crashes(t.TempDir()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(crash.Dir, "pods", "u"), 0o755); err != nil {
			t.Fatal(err)
		}
		check(crash.Dir, crash.String(), crash.Marks == 1)
	}
	// As it was written before: not in one step.
	empty := t.TempDir()
	if err := os.MkdirAll(filepath.Join(empty, "pods", "u"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(empty, "pods", "u", handlerFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(empty, "an empty file", false)
}
