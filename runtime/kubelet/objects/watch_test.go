package objects

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
)

// TestObjectsTellOfLaterVersions: a pod is woken by a version that it has not
// read, not by the one it has, and not when it has gone.
func TestObjectsTellOfLaterVersions(t *testing.T) {
	api := fake.NewClientset()
	events := watch.NewFake()
	api.PrependWatchReactor("configmaps", func(clienttesting.Action) (bool, watch.Interface, error) { return true, events, nil })
	o := NewManager(api, "n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan string, 8)
	key := Key{ConfigMap, "ns", "cm"}
	o.Follow(ctx, key, "old", "5", func() { told <- "old" })
	o.Follow(ctx, key, "new", "7", func() { told <- "new" })
	version := func(v string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm", ResourceVersion: v}}
	}
	expect := func(want ...string) {
		t.Helper()
		for range want {
			if got := patience.Receive(t, fmt.Sprint(want, " are told"), told); len(want) == 1 && got != want[0] {
				t.Errorf("%s is told, want %v", got, want)
			}
		}
		select {
		case got := <-told:
			t.Errorf("%s is told too", got)
		case <-time.After(20 * time.Millisecond):
		}
	}
	events.Add(version("7"))
	expect("old")
	o.Follow(ctx, key, "old", "7", func() { told <- "old" })
	events.Modify(version("8"))
	expect("old", "new")
	o.Release("old")
	events.Modify(version("9"))
	expect("new")
	o.Release("new")
	if len(o.watched) != 0 {
		t.Errorf("%d objects are watched for nobody", len(o.watched))
	}
}
