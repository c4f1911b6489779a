package nodestatus

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// A runtime that is away is told of at once where it was never there, and else after the
// grace, which counts from when it was lost first.
func TestARuntimeThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes atomic.Int32
		s := NewRuntimeState(func() { changes.Add(1) })
		expect := func(when, version string, away, overdue bool, told int32) {
			t.Helper()
			synctest.Wait()
			v, err, late := s.observe(time.Now())
			if v != version || (err != nil) != away || late != overdue || changes.Load() != told || (s.Err() != nil) != away {
				t.Errorf("%s: version %q, %v, overdue %t, told %d times", when, v, err, late, changes.Load())
			}
		}
		expect("at first", "", true, true, 0)
		s.Reached("1")
		expect("it answers", "1", false, false, 1)
		s.Reached("2")
		expect("it answers still", "2", false, false, 1)
		s.Lost(errors.New("gone"))
		expect("it is gone", "2", true, false, 1)
		time.Sleep(runtimeGrace / 2)
		s.Lost(errors.New("still gone"))
		expect("it is still gone", "2", true, false, 1)
		time.Sleep(runtimeGrace / 2)
		expect("after the grace", "2", true, true, 2)
		time.Sleep(runtimeGrace)
		expect("later", "2", true, true, 2)
		s.Reached("3")
		expect("it is back", "3", false, false, 3)
	})
}

func TestWhichVersionIsNewer(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"6", "5", true}, {"5", "5", false}, {"5", "6", false}, {"10", "9", true}, {"x", "5", false}, {"6", "x", false}} {
		if got := newer(tc.a, tc.b); got != tc.want {
			t.Errorf("%s after %s: %t", tc.a, tc.b, got)
		}
	}
}

// What was written counts until the watch shows a later one, and it counts as gone where
// the watch has none.
func TestTheNodeAsItIsNow(t *testing.T) {
	node := func(version string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: version}}
	}
	for what, tc := range map[string]struct {
		seen  *corev1.Node
		want  string
		there bool
	}{"none": {nil, "5", false}, "an older one": {node("4"), "5", true}, "the same": {node("5"), "5", true}, "a later one": {node("6"), "6", true}} {
		api := fake.NewClientset()
		r, _ := newReporter(api)
		if got, there := r.current(node("5")); got.ResourceVersion != "5" || !there {
			t.Errorf("%s: before the watch %s, there %t", what, got.ResourceVersion, there)
		}
		go r.cfg.Nodes.Informer().RunWithContext(t.Context())
		for !r.cfg.Nodes.Informer().HasSynced() {
			time.Sleep(time.Millisecond)
		}
		if tc.seen != nil {
			if err := r.cfg.Nodes.Informer().GetStore().Add(tc.seen); err != nil {
				t.Fatal(err)
			}
		}
		if got, there := r.current(node("5")); got.ResourceVersion != tc.want || there != tc.there {
			t.Errorf("%s: %s, there %t", what, got.ResourceVersion, there)
		}
	}
}

// lister lists images as it is told.
type lister struct {
	asked int
	hangs bool
	err   error
}

func (l *lister) Images(ctx context.Context) ([]container.Image, error) {
	if l.asked++; l.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []container.Image{{ID: "i"}}, l.err
}

// A runtime that is away is not asked for its images; one that hangs is told of, unless
// it is the asking that ends.
func TestWhatTheRuntimeSays(t *testing.T) {
	for what, tc := range map[string]struct {
		away, hangs, over bool
		err               error
		asked             int
		known             bool
		says              string
	}{
		"it answers": {asked: 1, known: true}, "it is away": {away: true, says: "gone"}, "it fails": {err: errors.New("no"), asked: 1},
		"it hangs": {hangs: true, asked: 1, says: "has not listed its images within 20s"}, "it hangs at the end": {hangs: true, over: true, asked: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := newReporter(fake.NewClientset())
			l := &lister{hangs: tc.hangs, err: tc.err}
			r.cfg.Images = l
			if r.runtime.Reached("1"); tc.away {
				r.runtime.Lost(errors.New("gone"))
				time.Sleep(2 * runtimeGrace)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.over {
				cancel()
			}
			f := r.observe(ctx)
			if l.asked != tc.asked || f.imagesKnown != tc.known || (f.runtimeErr != nil) != (tc.says != "") || f.runtimeErr != nil && !strings.Contains(f.runtimeErr.Error(), tc.says) {
				t.Errorf("%s: asked %d times, known %t, %v", what, l.asked, f.imagesKnown, f.runtimeErr)
			}
		})
	}
}
