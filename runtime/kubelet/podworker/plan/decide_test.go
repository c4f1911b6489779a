package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// model runs a pod on paper: it carries out every decision at once, on a clock of
// its own, and ends containers as the script says.
type model struct {
	t      *testing.T
	v      View
	starts []string // name@second
	lasts  map[string]time.Duration
	code   map[string]int32 // containers that end, and how; others run on
	began  time.Time
	killed int32 // the code of what is ended
	round  int
}

func newModel(t *testing.T, pod *corev1.Pod) *model {
	now := time.Unix(1_800_000_000, 0)
	return &model{t: t, began: now, killed: 137, lasts: map[string]time.Duration{}, code: map[string]int32{}, v: View{
		Pod: pod, Sandbox: "s1", Now: now,
		Containers: map[string]*container.Container{}, Previous: map[string]*container.Container{}, Failures: map[string]Failure{}, Health: map[string]container.Health{}, Restarting: map[string]bool{},
	}}
}

// run goes on until nothing is to happen or the time is over.
func (m *model) run(until time.Duration) Decision {
	for range 10_000 {
		d := Decide(m.v)
		for _, a := range d.Start {
			name := a.Container.Name
			id := fmt.Sprint(name, a.Restarts)
			if old := m.v.Containers[name]; old != nil && old.State == container.StateRunning {
				m.t.Fatalf("%s is started and still runs", name)
			}
			m.v.Previous[name], m.v.Containers[name] = m.v.Containers[name], &container.Container{
				ID: id, Name: name, Sandbox: m.v.Sandbox, Restarts: a.Restarts, Backoff: a.Backoff, SpecHash: container.SpecHash(a.Container), Actuated: container.ComputeOf(a.Container.Resources), StartedAt: m.v.Now,
			}
			m.v.Health[id] = container.Health{Started: true, Ready: true}
			m.starts = append(m.starts, fmt.Sprintf("%s@%d", name, int(m.v.Now.Sub(m.began).Seconds())))
		}
		for _, k := range d.Kill {
			if k.Restart {
				m.v.Restarting[k.Container.ID] = true
			}
			m.end(k.Container, m.killed)
		}
		for _, r := range d.Resize {
			r.Container.Actuated = container.ComputeOf(r.Spec.Resources)
			m.starts = append(m.starts, "resized "+r.Container.Name)
		}
		if d.Reset {
			m.round++
			m.v.Sandbox = container.Sandbox{ID: "s1", Round: m.round}.Incarnation()
		}
		if len(d.Start)+len(d.Kill)+len(d.Resize) > 0 || d.Reset {
			continue
		}
		next := d.WakeAt
		for name, c := range m.v.Containers {
			if _, ends := m.code[name]; ends && c.State == container.StateRunning {
				next = earliest(next, c.StartedAt.Add(m.lasts[name]))
			}
		}
		if next.IsZero() || next.Sub(m.began) > until {
			return d
		}
		m.v.Now = next
		for name, c := range m.v.Containers {
			if code, ends := m.code[name]; ends && c.State == container.StateRunning && !c.StartedAt.Add(m.lasts[name]).After(next) {
				m.end(c, code)
			}
		}
	}
	m.t.Fatal("the pod never settles")
	return Decision{}
}

func (m *model) end(c *container.Container, code int32) {
	c.State, c.Exit = container.StateExited, &container.Exit{Code: code, At: m.v.Now}
}

func testPod(policy corev1.RestartPolicy, init []string, main ...string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy}}
	p.Name, p.Namespace, p.UID = "p", "default", "uid"
	for _, n := range init {
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: n, Image: "i"})
	}
	for _, n := range main {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: n, Image: "i"})
	}
	return p
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.code["c"] = 1
	m.run(1000 * time.Second)
	// At once, then after 10, 20, 40, 80, 160 seconds, then every 300.
	want := "[c@0 c@0 c@10 c@30 c@70 c@150 c@310 c@610 c@910]"
	if got := fmt.Sprint(m.starts); got != want {
		t.Errorf("started %s, want %s", got, want)
	}
}

func TestBackoffForgetsAfterALongRun(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.code["c"], m.lasts["c"] = 1, 11*time.Minute
	m.run(40 * time.Minute)
	if want := "[c@0 c@660 c@1320 c@1980]"; fmt.Sprint(m.starts) != want {
		t.Errorf("started %s, want %s", m.starts, want)
	}
}

func TestInitContainersRunInOrderAndOnce(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, []string{"i1", "i2"}, "a", "b"))
	m.code["i1"], m.lasts["i1"] = 0, 2*time.Second
	m.code["i2"], m.lasts["i2"] = 0, 3*time.Second
	d := m.run(time.Hour)
	if want := "[i1@0 i2@2 a@5 b@5]"; fmt.Sprint(m.starts) != want || !d.Initialized {
		t.Errorf("started %s, want %s (initialized %t)", m.starts, want, d.Initialized)
	}
}

func TestASidecarStartsBeforeAndDoesNotKeepAPodAlive(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, []string{"side"}, "job")
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers[0].RestartPolicy = &always
	m := newModel(t, pod)
	m.code["job"], m.lasts["job"] = 0, 4*time.Second
	d := m.run(time.Hour)
	if want := "[side@0 job@0]"; fmt.Sprint(m.starts) != want || !d.Finished {
		t.Errorf("started %s, want %s (finished %t)", m.starts, want, d.Finished)
	}
	if m.v.Containers["side"].State != container.StateExited {
		t.Error("the sidecar outlives the pod")
	}
}

func TestARebootStartsEverythingAnew(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, []string{"i"}, "c"))
	m.code["i"] = 0
	m.run(time.Minute)
	m.starts, m.v.Sandbox = nil, "s2"
	for _, c := range m.v.Containers {
		if c.State == container.StateRunning {
			m.end(c, 255)
			c.Exit.Reason = container.ReasonUnknown
		}
	}
	m.run(time.Minute)
	if want := "[i@0 c@0]"; fmt.Sprint(m.starts) != want || m.v.Containers["c"].Restarts != 1 {
		t.Errorf("started %s, want %s; %d restarts, want 1", m.starts, want, m.v.Containers["c"].Restarts)
	}
}

// TestARebootOfWhatIsNotRestarted: what failed with the server is not begun again, by the
// pod's policy or by that of its container; what had ended well is kept.
func TestARebootOfWhatIsNotRestarted(t *testing.T) {
	never, onFailure := corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure
	for _, c := range []struct {
		name     string
		policy   corev1.RestartPolicy
		init     int32 // exit code; negative: it ran
		main     int32 // -1: it ran; -2: it was not begun
		starts   string
		finished bool
	}{
		{"never, it ran", never, 0, -1, "[]", true},
		{"never, it had failed", never, 0, 3, "[]", true},
		{"never, it had ended well", never, 0, 0, "[i@0]", true},
		{"never, initializing", never, -1, -2, "[]", true},
		{"never, not begun", never, 0, -2, "[i@0 c@0]", false},
		{"on failure, it ran", onFailure, 0, -1, "[i@0 c@0]", false},
		{"on failure, it had ended well", onFailure, 0, 0, "[i@0]", true},
	} {
		m := newModel(t, testPod(c.policy, []string{"i"}, "c"))
		for name, code := range map[string]int32{"i": c.init, "c": c.main} {
			e := &container.Exit{Code: code, At: m.v.Now.Add(-time.Hour)}
			if code == -1 {
				e.Code, e.Reason = 255, container.ReasonUnknown
			}
			if code != -2 {
				m.v.Containers[name] = &container.Container{ID: name + "-old", Name: name, Sandbox: "s1", State: container.StateExited, Exit: e, StartedAt: e.At.Add(-time.Hour)}
			}
		}
		m.code["i"], m.v.Sandbox = 0, ""
		if Decide(m.v).Finished {
			t.Errorf("%s: its end is decided before its sandbox is known", c.name)
		}
		m.v.Sandbox = "s2"
		d := m.run(time.Minute)
		if fmt.Sprint(m.starts) != c.starts || d.Finished != c.finished {
			t.Errorf("%s: started %s, finished %v; want %s, %v", c.name, m.starts, d.Finished, c.starts, c.finished)
		}
	}
}

func TestAnUnhealthyContainerIsReplaced(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.run(time.Second)
	m.v.Health["c0"] = container.Health{Started: true, Unhealthy: "liveness probe"}
	m.run(time.Minute)
	if c := m.v.Containers["c"]; c.Restarts != 1 || c.State != container.StateRunning || m.v.Previous["c"].Exit.Code != 137 {
		t.Errorf("container %+v after %+v", c, m.v.Previous["c"])
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// TestAnUnhealthySidecar is killed, and holds up nothing.
func TestAnUnhealthySidecar(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, []string{"side"}, "main")
	pod.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	m := newModel(t, pod)
	m.v.Containers["side"] = &container.Container{ID: "s", Name: "side", Sandbox: "s1"}
	m.v.Health["s"] = container.Health{Unhealthy: "startup probe"}
	d := Decide(m.v)
	if len(d.Kill) != 1 || d.Kill[0].Message != "Container side failed startup probe, will be restarted" || !d.Initialized || len(d.Start) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestBackingOff: only what has ended in this sandbox waits because it ended.
func TestBackingOff(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.v.Failures["c"] = Failure{Until: m.v.Now.Add(time.Minute)}
	if d := Decide(m.v); len(d.BackingOff) != 0 || len(d.Start) != 0 || !d.WakeAt.Equal(m.v.Now.Add(time.Minute)) {
		t.Errorf("one that could not be started: %+v", d)
	}
	ended := &container.Container{ID: "a", Name: "c", Sandbox: "s1", Backoff: 10 * time.Second, StartedAt: m.v.Now, State: container.StateExited, Exit: &container.Exit{At: m.v.Now}}
	m.v.Containers["c"], m.v.Failures = ended, nil
	if d := Decide(m.v); len(d.BackingOff) != 1 || d.BackingOff[0] != ended || !d.WakeAt.Equal(m.v.Now.Add(10*time.Second)) {
		t.Errorf("one that ended: %+v", d)
	}
	m.v.Now = m.v.Now.Add(-5 * time.Minute)
	if d := Decide(m.v); len(d.BackingOff) != 0 || len(d.Start) != 1 {
		t.Errorf("after the clock was set back: %+v", d)
	}
	m.v.Now = ended.Exit.At.Add(10 * time.Second)
	if d := Decide(m.v); len(d.BackingOff) != 0 || len(d.Start) != 1 || d.Start[0].Restarts != 1 || d.Start[0].Backoff != 20*time.Second {
		t.Errorf("when it is due: %+v", d)
	}
}

// TestNothingStartsBesideAnEarlierSandbox: what runs there ends first.
func TestNothingStartsBesideAnEarlierSandbox(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c", "d"))
	m.run(time.Minute)
	m.v.Sandbox = "s2"
	m.v.Containers["d"].Sandbox = "s2"
	d := Decide(m.v)
	if len(d.Start) > 0 || len(d.Kill) != 1 || d.Kill[0].Container.Name != "c" || d.Kill[0].Message != SandboxChanged {
		t.Errorf("started are %v, killed %v", d.Start, d.Kill)
	}
}
