package eviction

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/status"
)

// server is a model of one whose pods' containers have written something.
type server struct {
	mu      sync.Mutex
	pods    []*corev1.Pod
	written map[string]use // by the UID of those that run
	looked  int            // at pods
	err     error
	evicted map[string]status.Failure
}

func (s *server) Pods() []*corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pods)
}

func (s *server) Storage(_ context.Context, pods []*corev1.Pod) ([]statsapi.PodStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked += len(pods); s.err != nil {
		return nil, s.err
	}
	var out []statsapi.PodStats
	for _, p := range pods {
		if u, ok := s.written[string(p.UID)]; ok {
			of := u.stats(0)
			of.PodRef.UID = string(p.UID)
			out = append(out, *of)
		}
	}
	return out, nil
}

func (s *server) Evict(uid string, f status.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evicted[uid] = f
}

// fail has every look at what pods take fail; nil ends that.
func (s *server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *server) add(uid string, limit string, writes uint64, change func(*corev1.Pod)) {
	p := testPod(map[string]string{"main": limit})
	p.UID = types.UID(uid)
	change(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods, s.written[uid] = append(s.pods, p), use{"main": writes}
}

func as(*corev1.Pod) {}

func newServer() (*server, *Manager) {
	s := &server{written: map[string]use{}, evicted: map[string]status.Failure{}}
	return s, &Manager{Pods: s, Stats: s, Workers: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestPodsOverTheirLimitsAreEvicted(t *testing.T) {
	s, m := newServer()
	s.add("over", "5Mi", 6*mi, as)
	s.add("under", "5Mi", 4*mi, as)
	s.add("unlimited", "", 60*mi, as)
	s.add("too", "1Mi", 6*mi, func(p *corev1.Pod) { p.Spec.Priority = ptr.To[int32](1_999_999_999) })
	s.add("critical", "5Mi", 6*mi, func(p *corev1.Pod) { p.Spec.Priority = ptr.To[int32](2_000_000_000) })
	s.add("static", "5Mi", 6*mi, func(p *corev1.Pod) { p.Annotations = map[string]string{"kubernetes.io/config.source": "file"} })
	s.add("failed", "5Mi", 6*mi, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	s.add("ended", "5Mi", 6*mi, as)
	delete(s.written, "ended")
	if err := m.enforceLimits(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(s.evicted)); !slices.Equal(got, []string{"over", "too"}) || s.looked != 4 {
		t.Errorf("%v are evicted, %d pods are looked at", got, s.looked)
	}
	want := status.Failure{Reason: "Evicted", Message: "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "}
	if s.evicted["over"] != want {
		t.Errorf("%+v", s.evicted["over"])
	}
}

// TestDisksAreLookedAtForLimitsOnly: every ten seconds, and never on a node whose pods have
// no limits; what fails is tried again.
func TestDisksAreLookedAtForLimitsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newServer()
		s.add("unlimited", "", 60*mi, as)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx)
		}()
		after := func(d time.Duration) int {
			time.Sleep(d)
			synctest.Wait()
			return s.looked
		}
		if n := after(time.Hour + time.Second); n != 0 {
			t.Errorf("%d pods without a limit are looked at", n)
		}
		s.fail(errors.New("the runtime is away"))
		s.add("over", "5Mi", 6*mi, as)
		if n := after(30 * time.Second); n != 3 || len(s.evicted) != 0 {
			t.Errorf("looked at it %d times in half a minute", n)
		}
		s.fail(nil)
		if after(10 * time.Second); len(s.evicted) != 1 {
			t.Error("it is not evicted")
		}
		stop()
		<-done
	})
}
