package podworker

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestAGraceRunsByTheServersOwnClock: that of the API may be minutes ahead or behind, and
// the pod has its grace nevertheless, from when it is seen to be deleted.
func TestAGraceRunsByTheServersOwnClock(t *testing.T) {
	for _, ahead := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w, p := &worker{}, &corev1.Pod{}
			check := func(what string, want time.Time) {
				t.Helper()
				if got := w.deadline(p); !got.Equal(want) {
					t.Errorf("the API is %s ahead: %s: its grace ends at %s, want %s", ahead, what, got, want)
				}
			}
			deleted := func(grace time.Duration) {
				p.DeletionTimestamp = ptr.To(metav1.NewTime(time.Now().Add(ahead + grace)))
				p.DeletionGracePeriodSeconds = ptr.To(int64(grace / time.Second))
			}
			check("it is not deleted", time.Time{})
			deleted(30 * time.Second)
			check("it was just deleted", began.Add(30*time.Second))
			time.Sleep(20 * time.Second)
			check("it is looked at again", began.Add(30*time.Second))
			deleted(2 * time.Second)
			check("it was deleted again, with a shorter grace", began.Add(22*time.Second))
		})
	}
}
