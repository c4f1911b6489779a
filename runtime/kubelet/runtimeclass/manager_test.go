package runtimeclass

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func TestHandler(t *testing.T) {
	class := func(name, handler string) *nodev1.RuntimeClass {
		return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
	}
	api := fake.NewClientset(class("plain", "runc"), class("vm", "kata"), class("other", "gvisor"))
	m := Manager{API: api, Layout: poddir.Layout{Root: t.TempDir()}, Handlers: []string{"", "kata", "runc"}}
	for _, c := range []struct{ class, want, err string }{
		{"", "", ""}, {"plain", "runc", ""}, {"vm", "kata", ""},
		{"other", "", `no runtime for "gvisor" is configured`}, {"none", "", `"none" not found`},
	} {
		p := &corev1.Pod{}
		p.UID = "u"
		if c.class != "" {
			p.Spec.RuntimeClassName = &c.class
		}
		dir := m.Layout.Pod(string(p.UID))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := m.Handler(t.Context(), p)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v; want %q, %q", c.class, got, err, c.want, c.err)
		}
		if err == nil && c.class != "" {
			// What a pod was begun with stays, also when its class goes.
			if err := api.NodeV1().RuntimeClasses().Delete(t.Context(), c.class, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if again, err := m.Handler(t.Context(), p); again != c.want || err != nil {
				t.Errorf("%q, when its class is gone: %q, %v", c.class, again, err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
