package prober

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

// model is a container that can be asked. Probes are known by their FailureThreshold.
type model struct {
	mu      sync.Mutex
	began   time.Time
	answers map[int32]func(since time.Duration) bool
	warning error           // of those that succeed
	asked   map[int32][]int // at which millisecond
	events  []string
	changes int
}

func (m *model) Probe(_ context.Context, p *corev1.Probe, target probe.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := time.Since(m.began)
	m.asked[p.FailureThreshold] = append(m.asked[p.FailureThreshold], int(since.Milliseconds()))
	if target.ID != "id" || target.IP != "10.0.0.7" || target.Container.Name != "c" {
		return errors.New("another container")
	}
	if f := m.answers[p.FailureThreshold]; f != nil && !f(since) {
		return errors.New("no")
	}
	return m.warning
}

func (m *model) Event(_ runtime.Object, _, reason, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, reason+": "+message)
}

func (m *model) changed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
}

// times are when a probe was asked, in milliseconds.
func (m *model) times(p int32) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Trim(fmt.Sprint(m.asked[p]), "[]")
}

func (m *model) add(t *testing.T, manager *Manager, spec corev1.Container, status ...corev1.ContainerStatus) {
	spec.Name = "c"
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{spec}}, Status: corev1.PodStatus{ContainerStatuses: status}}
	manager.Add(t.Context(), pod, &pod.Spec.Containers[0], container.Container{ID: "id", StartedAt: time.Now()}, "10.0.0.7", m.changed)
}

func run(t *testing.T, test func(t *testing.T, m *model, manager *Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &model{began: time.Now(), answers: map[int32]func(time.Duration) bool{}, asked: map[int32][]int{}}
		manager := NewManager(m, m)
		defer manager.Remove("id")
		test(t, m, manager)
	})
}

func check(t *testing.T, manager *Manager, when string, want container.Health) {
	t.Helper()
	synctest.Wait()
	if got, ok := manager.Health("id"); got != want || !ok {
		t.Errorf("%s: %+v, %v, want %+v", when, got, ok, want)
	}
}

func until(d time.Duration) func(time.Duration) bool {
	return func(since time.Duration) bool { return since < d }
}

func from(d time.Duration) func(time.Duration) bool {
	return func(since time.Duration) bool { return since >= d }
}

func TestWithoutProbesAContainerIsReady(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.add(t, manager, corev1.Container{})
		check(t, manager, "at once", container.Health{Started: true, Ready: true})
		manager.StopRestarts("id")
		manager.Remove("id")
		if _, ok := manager.Health("id"); ok {
			t.Error("one that is not probed any more is known")
		}
		manager.Remove("id")
		manager.StopRestarts("id")
	})
}

// TestReadiness: one that is not ready yet is asked more often at first, which counts for
// nothing but its being ready.
func TestReadiness(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.answers[2] = func(since time.Duration) bool { return since >= 400*time.Millisecond && since < 25*time.Second }
		m.add(t, manager, corev1.Container{ReadinessProbe: &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 2}})
		check(t, manager, "at first", container.Health{Started: true})
		time.Sleep(499 * time.Millisecond)
		check(t, manager, "before it answers", container.Health{Started: true})
		time.Sleep(2 * time.Millisecond)
		check(t, manager, "when it answers", container.Health{Started: true, Ready: true})
		time.Sleep(35 * time.Second) // one failure
		check(t, manager, "after one failure", container.Health{Started: true, Ready: true})
		time.Sleep(10 * time.Second)
		check(t, manager, "after two failures", container.Health{Started: true})
		if got := m.times(2); got != "0 50 150 300 500 10500 20500 30500 40500 40750 41250 42000 43000 44000" {
			t.Errorf("asked at %s", got)
		}
		if m.changes != 2 || len(m.events) != 2 || m.events[0] != "Unhealthy: Readiness probe failed: no" {
			t.Errorf("%d changes, events %q", m.changes, m.events)
		}
	})
}

func TestLiveness(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.answers[3] = until(12 * time.Second)
		m.add(t, manager, corev1.Container{LivenessProbe: &corev1.Probe{InitialDelaySeconds: 5, PeriodSeconds: 2, FailureThreshold: 3}})
		time.Sleep(16 * time.Second)
		check(t, manager, "after two failures", container.Health{Started: true, Ready: true})
		time.Sleep(2 * time.Second)
		check(t, manager, "after three failures", container.Health{Started: true, Ready: true, Unhealthy: "liveness probe"})
		if got := m.times(3); got != "5000 7000 9000 11000 13000 15000 17000" {
			t.Errorf("asked at %s", got)
		}
	})
}

// TestStartup: the other probes begin when it has succeeded.
func TestStartup(t *testing.T) {
	spec := corev1.Container{
		StartupProbe:   &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 10},
		LivenessProbe:  &corev1.Probe{PeriodSeconds: 5, FailureThreshold: 3},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 5, FailureThreshold: 2},
	}
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.answers[10] = from(2500 * time.Millisecond)
		m.add(t, manager, spec)
		time.Sleep(2900 * time.Millisecond)
		check(t, manager, "before", container.Health{})
		time.Sleep(200 * time.Millisecond)
		check(t, manager, "after", container.Health{Started: true, Ready: true})
		time.Sleep(10 * time.Second)
		if s, l, r := m.times(10), m.times(3), m.times(2); s != "0 1000 2000 3000" || l != "3000 8000 13000" || r != "3000 8000 13000" {
			t.Errorf("asked at %s, %s and %s", s, l, r)
		}
	})
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.answers[10] = from(time.Hour)
		m.add(t, manager, spec)
		time.Sleep(8500 * time.Millisecond)
		check(t, manager, "before the threshold", container.Health{})
		time.Sleep(time.Second)
		check(t, manager, "at the threshold", container.Health{Unhealthy: "startup probe"})
	})
}

// TestOneThatIsToldToEnd is not told again, and whether it is ready goes on being asked.
func TestOneThatIsToldToEnd(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.answers[3], m.answers[2] = until(15*time.Second), until(25*time.Second)
		m.add(t, manager, corev1.Container{
			LivenessProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 3}, ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 2},
		})
		time.Sleep(10 * time.Second)
		manager.StopRestarts("id")
		time.Sleep(10 * time.Second)
		check(t, manager, "it serves on", container.Health{Started: true, Ready: true})
		time.Sleep(10 * time.Second)
		check(t, manager, "it serves no more", container.Health{Started: true})
	})
}

// TestOneThatRanBefore: what the API was told holds until the probes say otherwise.
func TestOneThatRanBefore(t *testing.T) {
	spec := corev1.Container{StartupProbe: &corev1.Probe{FailureThreshold: 10}, ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 2}}
	for id, want := range map[string]container.Health{"id": {Started: true, Ready: true}, "other": {}} {
		run(t, func(t *testing.T, m *model, manager *Manager) {
			m.answers[10], m.answers[2] = from(time.Hour), from(time.Hour)
			m.add(t, manager, spec, corev1.ContainerStatus{Name: "c", ContainerID: "containerd://" + id, Started: ptr.To(true), Ready: true})
			check(t, manager, "of "+id, want)
			time.Sleep(3 * time.Second)
			if asked := m.times(10) != ""; asked == want.Started {
				t.Errorf("of %s: asked whether it has started: %v", id, asked)
			}
			if want.Ready {
				check(t, manager, "then", container.Health{Started: true})
			}
		})
	}
}

func TestAProbeIsNotAddedTwice(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		for range 2 {
			m.add(t, manager, corev1.Container{LivenessProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 3}})
		}
		time.Sleep(1500 * time.Millisecond)
		if got := m.times(3); got != "0 1000" {
			t.Errorf("asked at %s", got)
		}
		manager.Remove("id")
		time.Sleep(10 * time.Second)
		if got := m.times(3); got != "0 1000" {
			t.Errorf("after it was removed, asked at %s", got)
		}
	})
}

// TestAWarningIsNoFailure: the user is told, and the container is left alone.
func TestAWarningIsNoFailure(t *testing.T) {
	run(t, func(t *testing.T, m *model, manager *Manager) {
		m.warning = fmt.Errorf("asked: %w", &probe.Warning{})
		m.add(t, manager, corev1.Container{LivenessProbe: &corev1.Probe{FailureThreshold: 1, PeriodSeconds: 5}})
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if len(m.events) == 0 || !strings.HasPrefix(m.events[0], "ProbeWarning: Liveness probe warning: ") {
			t.Errorf("events %q", m.events)
		}
		if h, _ := manager.Health("id"); h.Unhealthy != "" {
			t.Errorf("it is %+v", h)
		}
	})
}
