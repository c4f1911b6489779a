package kubelet

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// model runs a pod on paper: it carries out every decision at once, on a clock of
// its own, and ends containers as the script says.
type model struct {
	t       *testing.T
	v       view
	starts  []string // name@second
	lasts   map[string]time.Duration
	code    map[string]int32 // containers that end, and how; others run on
	began   time.Time
	maxRuns int
}

func newModel(t *testing.T, pod *corev1.Pod) *model {
	now := time.Unix(1_800_000_000, 0)
	return &model{t: t, began: now, lasts: map[string]time.Duration{}, code: map[string]int32{}, v: view{
		pod: pod, sandbox: "s1", now: now,
		containers: map[string]*Container{}, before: map[string]*Container{}, failures: map[string]failure{}, probes: map[string]probeState{},
	}}
}

// run goes on until nothing is to happen or the time is over.
func (m *model) run(until time.Duration) decision {
	for range 10_000 {
		d := decide(m.v)
		for _, a := range d.start {
			name := a.container.Name
			id := fmt.Sprint(name, a.restarts)
			if old := m.v.containers[name]; old != nil && old.State == StateRunning {
				m.t.Fatalf("%s is started and still runs", name)
			}
			m.v.before[name], m.v.containers[name] = m.v.containers[name], &Container{
				ID: id, Name: name, Sandbox: m.v.sandbox, Restarts: a.restarts, Backoff: a.backoff, SpecHash: specHash(a.container), StartedAt: m.v.now,
			}
			m.v.probes[id] = probeState{started: true, ready: true}
			m.starts = append(m.starts, fmt.Sprintf("%s@%d", name, int(m.v.now.Sub(m.began).Seconds())))
		}
		for _, k := range d.kill {
			m.end(k.container, 137)
		}
		if len(d.start)+len(d.kill) > 0 {
			continue
		}
		next := d.wakeAt
		for name, c := range m.v.containers {
			if _, ends := m.code[name]; ends && c.State == StateRunning {
				next = earliest(next, c.StartedAt.Add(m.lasts[name]))
			}
		}
		if next.IsZero() || next.Sub(m.began) > until {
			return d
		}
		m.v.now = next
		for name, c := range m.v.containers {
			if code, ends := m.code[name]; ends && c.State == StateRunning && !c.StartedAt.Add(m.lasts[name]).After(next) {
				m.end(c, code)
			}
		}
	}
	m.t.Fatal("the pod never settles")
	return decision{}
}

func (m *model) end(c *Container, code int32) {
	c.State, c.Exit = StateExited, &Exit{Code: code, At: m.v.now}
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
	if want := "[i1@0 i2@2 a@5 b@5]"; fmt.Sprint(m.starts) != want || !d.initialized {
		t.Errorf("started %s, want %s (initialized %t)", m.starts, want, d.initialized)
	}
}

func TestASidecarStartsBeforeAndDoesNotKeepAPodAlive(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, []string{"side"}, "job")
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers[0].RestartPolicy = &always
	m := newModel(t, pod)
	m.code["job"], m.lasts["job"] = 0, 4*time.Second
	d := m.run(time.Hour)
	if want := "[side@0 job@0]"; fmt.Sprint(m.starts) != want || !d.finished {
		t.Errorf("started %s, want %s (finished %t)", m.starts, want, d.finished)
	}
	if m.v.containers["side"].State != StateExited {
		t.Error("the sidecar outlives the pod")
	}
	if s := computeStatus(m.v, podFacts{}); s.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s, want Succeeded", s.Phase)
	}
}

func TestPhases(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy corev1.RestartPolicy
		codes  map[string]int32
		want   corev1.PodPhase
	}{
		{"all run", corev1.RestartPolicyAlways, nil, corev1.PodRunning},
		{"all ended well", corev1.RestartPolicyNever, map[string]int32{"a": 0, "b": 0}, corev1.PodSucceeded},
		{"one failed", corev1.RestartPolicyNever, map[string]int32{"a": 0, "b": 3}, corev1.PodFailed},
		{"one still runs", corev1.RestartPolicyNever, map[string]int32{"a": 1}, corev1.PodRunning},
		{"one crashes", corev1.RestartPolicyAlways, map[string]int32{"a": 1}, corev1.PodRunning},
		{"ended well, on failure", corev1.RestartPolicyOnFailure, map[string]int32{"a": 0, "b": 0}, corev1.PodSucceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(t, testPod(c.policy, nil, "a", "b"))
			m.code = c.codes
			m.run(35 * time.Second)
			if got := computeStatus(m.v, podFacts{}).Phase; got != c.want {
				t.Errorf("phase %s, want %s", got, c.want)
			}
		})
	}
}

func TestACrashingContainerSaysSo(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.code["c"] = 7
	m.run(35 * time.Second)
	s := computeStatus(m.v, podFacts{scheme: "containerd"}).ContainerStatuses[0]
	if s.State.Waiting == nil || s.State.Waiting.Reason != "CrashLoopBackOff" || s.RestartCount != 3 {
		t.Errorf("state %+v with %d restarts, want CrashLoopBackOff with 3", s.State, s.RestartCount)
	}
	if last := s.LastTerminationState.Terminated; last == nil || last.ExitCode != 7 || last.Reason != "Error" {
		t.Errorf("last state %+v", last)
	}
}

func TestARebootStartsEverythingAnew(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, []string{"i"}, "c"))
	m.code["i"] = 0
	m.run(time.Minute)
	m.starts, m.v.sandbox = nil, "s2"
	for _, c := range m.v.containers {
		if c.State == StateRunning {
			m.end(c, 255)
			c.Exit.Reason = "Unknown"
		}
	}
	m.run(time.Minute)
	if want := "[i@0 c@0]"; fmt.Sprint(m.starts) != want || m.v.containers["c"].Restarts != 1 {
		t.Errorf("started %s, want %s; %d restarts, want 1", m.starts, want, m.v.containers["c"].Restarts)
	}
}

func TestAnUnhealthyContainerIsReplaced(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.run(time.Second)
	m.v.probes["c0"] = probeState{started: true, unhealthy: "liveness probe"}
	m.run(time.Minute)
	if c := m.v.containers["c"]; c.Restarts != 1 || c.State != StateRunning || m.v.before["c"].Exit.Code != 137 {
		t.Errorf("container %+v after %+v", c, m.v.before["c"])
	}
}

func TestReadyFollowsProbesAndGates(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, nil, "c")
	m := newModel(t, pod)
	m.run(time.Second)
	ready := func() corev1.ConditionStatus {
		for _, c := range computeStatus(m.v, podFacts{sandboxReady: true}).Conditions {
			if c.Type == corev1.PodReady {
				return c.Status
			}
		}
		return "absent"
	}
	if ready() != corev1.ConditionTrue {
		t.Error("a running pod without probes is not ready")
	}
	m.v.probes["c0"] = probeState{started: true}
	if ready() != corev1.ConditionFalse {
		t.Error("a pod whose probe fails is ready")
	}
	m.v.probes["c0"] = probeState{started: true, ready: true}
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "x"}}
	if ready() != corev1.ConditionFalse {
		t.Error("a pod with an open readiness gate is ready")
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: "x", Status: corev1.ConditionTrue}}
	if ready() != corev1.ConditionTrue {
		t.Error("a pod whose gate is met is not ready")
	}
}

func TestTally(t *testing.T) {
	ta := tally{successThreshold: 2, failureThreshold: 3}
	var got string
	for _, r := range "ok ok bad bad ok bad bad bad ok ok" {
		switch r {
		case 'o':
			v, _ := ta.add(true)
			got += fmt.Sprint(v, " ")
		case 'b':
			v, _ := ta.add(false)
			got += fmt.Sprint(v, " ")
		}
	}
	if want := "false true true true true true true false false true "; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
}
