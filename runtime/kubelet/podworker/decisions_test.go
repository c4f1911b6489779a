package podworker

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

func requirements(cpu, request, limit string) corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	if cpu != "" {
		r.Requests[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if request != "" {
		r.Requests[corev1.ResourceMemory] = resource.MustParse(request)
	}
	if limit != "" {
		r.Limits[corev1.ResourceMemory] = resource.MustParse(limit)
	}
	return r
}

// sizedAs is a pod of one container, a.
func sizedAs(r corev1.ResourceRequirements) *corev1.Pod {
	p := testPod(corev1.RestartPolicyAlways, "a")
	p.Spec.Containers[0].Resources = r
	return p
}

// TestWhichWaitingResizeIsFirst: each is before all that follow it.
func TestWhichWaitingResizeIsFirst(t *testing.T) {
	at := time.Unix(1000, 0)
	waiting := func(from, to corev1.ResourceRequirements, priority *int32, since time.Duration) *mailbox {
		p := sizedAs(to)
		p.Spec.Priority = priority
		return &mailbox{pod: p, given: allocation.Of(sizedAs(from)), waiting: &deferral{at: at.Add(since)}}
	}
	guaranteed := func(cpu string) corev1.ResourceRequirements {
		r := requirements(cpu, "1Gi", "1Gi")
		r.Limits[corev1.ResourceCPU] = resource.MustParse(cpu)
		return r
	}
	small, large := requirements("1", "1Gi", ""), requirements("2", "1Gi", "")
	order := []struct {
		name string
		m    *mailbox
	}{
		{"asks for less, of priority", waiting(large, small, ptr.To[int32](5), 0)},
		{"asks for as much", waiting(small, requirements("1", "1Gi", "2Gi"), nil, time.Hour)},
		{"of the highest priority", waiting(small, large, ptr.To[int32](9), time.Hour)},
		{"of a priority", waiting(small, requirements("1", "2Gi", ""), ptr.To[int32](1), time.Hour)},
		{"guaranteed", waiting(guaranteed("1"), guaranteed("2"), nil, time.Hour)},
		{"burstable, the first", waiting(small, large, nil, 0)},
		{"burstable, the second", waiting(small, large, ptr.To[int32](0), time.Second)},
	}
	for i, x := range order {
		for j, y := range order {
			if got := compareResizes(x.m, y.m); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s, beside one that is %s: %d", x.name, y.name, got)
			}
		}
	}
}

// TestWhoseMemoryIsAskedFor: of a container whose limit falls, or that gets one, and of a
// pod likewise; what is in use may come up to the limit and not reach it.
func TestWhoseMemoryIsAskedFor(t *testing.T) {
	const gi = 1 << 30
	for name, tt := range map[string]struct {
		was, limit string
		usage      int64
		fails      bool
		says       string
	}{
		"it falls, enough is free":      {"2Gi", "1Gi", gi - 1, false, ""},
		"it falls, and all is in use":   {"2Gi", "1Gi", gi, false, `container "a" memory limit (1073741824) below current usage (1073741824)`},
		"it falls, nobody knows of use": {"2Gi", "1Gi", 0, true, `missing container "a" memory usage`},
		"the same, and more is in use":  {"1Gi", "1Gi", 2 * gi, false, ""},
		"it rises":                      {"1Gi", "2Gi", 3 * gi, false, ""},
		"a first one":                   {"", "1Gi", gi, false, "memory limit (1073741824) below current usage"},
		"it is taken away":              {"1Gi", "", 2 * gi, false, ""},
	} {
		h := &held{memory: tt.usage}
		if tt.fails {
			h.fails = map[string]error{"memory": errors.New("no such cgroup")}
		}
		p, before := sizedAs(requirements("1", "1Mi", tt.limit)), sizedAs(requirements("1", "1Mi", tt.was))
		c := &container.Container{Name: "a", State: container.StateRunning, Actuated: container.ComputeOf(before.Spec.Containers[0].Resources)}
		rs := &resizer{Config: &Config{Cgroups: h}, mailbox: &mailbox{}, history: history{newest: map[string]*container.Container{"a": c}}}
		err := rs.memoryFits(p, []plan.Resize{{Container: c, Spec: &p.Spec.Containers[0]}})
		if (err == nil) != (tt.says == "") || err != nil && (!errors.Is(err, errInUse) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("a container: %s: %v", name, err)
		}
		p.Spec.Containers[0].Resources, p.Spec.Resources = corev1.ResourceRequirements{}, ptr.To(requirements("", "", tt.limit))
		before.Spec.Containers[0].Resources, before.Spec.Resources = corev1.ResourceRequirements{}, ptr.To(requirements("", "", tt.was))
		rs.cgroup, rs.newest = before, nil
		says := strings.Replace(tt.says, `container "a"`, "pod", 1)
		if err := rs.memoryFits(p, nil); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("a pod: %s: %v", name, err)
		}
	}
}

func TestWhichContainersAreOutdated(t *testing.T) {
	p := sizedAs(requirements("2", "", ""))
	now, before := container.ComputeOf(requirements("2", "", "")), container.ComputeOf(requirements("1", "", ""))
	for name, tt := range map[string]struct {
		c    *container.Container
		want int
	}{
		"none yet":                 {nil, 0},
		"it runs with what it was": {&container.Container{State: container.StateRunning, Actuated: before}, 1},
		"it runs with what it is":  {&container.Container{State: container.StateRunning, Actuated: now}, 0},
		"it has ended":             {&container.Container{State: container.StateExited, Actuated: before}, 0},
		"of an earlier version":    {&container.Container{State: container.StateRunning}, 0},
	} {
		rs := &resizer{history: newHistory()}
		if tt.c != nil {
			rs.newest["a"] = tt.c
		}
		if got := rs.outdated(p); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// TestWhenCgroupsAreWritten: unless the pod's has the values already, and then it is left
// alone.
func TestWhenCgroupsAreWritten(t *testing.T) {
	limits := func(limit string) *corev1.Pod {
		p := sizedAs(requirements("1", "", ""))
		p.Spec.Resources = ptr.To(requirements("", "", limit))
		return p
	}
	p := limits("1Gi")
	before := &container.Container{Name: "a", State: container.StateRunning, Actuated: container.ComputeOf(requirements("2", "", ""))}
	for name, tt := range map[string]struct {
		cgroup        *corev1.Pod
		newest        *container.Container
		writes, known bool
	}{
		"it has them":                       {limits("1Gi"), nil, false, true},
		"nobody knows what it has":          {nil, nil, true, true},
		"it has others":                     {limits("2Gi"), nil, true, true},
		"a container is to be started anew": {limits("1Gi"), before, true, true},
		"that, and nothing is known":        {nil, before, true, false},
	} {
		h := &held{by: map[string]map[string]string{}}
		rs := &resizer{Config: &Config{Cgroups: h}, mailbox: &mailbox{}, history: newHistory(), cgroup: tt.cgroup, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		if tt.newest != nil {
			rs.newest["a"] = tt.newest
		}
		if next := rs.actuate(t.Context(), p, nil); !next.IsZero() {
			t.Errorf("%s: again at %s", name, next)
		}
		if writes := len(h.left()) > 0; writes != tt.writes || (rs.cgroup != nil) != tt.known {
			t.Errorf("%s: writes %v, known afterwards: %v", name, writes, rs.cgroup != nil)
		}
	}
}

// TestThePodThatNobodyKnows has no network.
func TestThePodThatNobodyKnows(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		if _, err := n.workers.Dial(t.Context(), "nobody", 80); !errors.Is(err, errNoNetwork) {
			t.Errorf("dial: %v", err)
		}
		if n.workers.Running("nobody", "c") {
			t.Error("its container runs")
		}
	})
}

// TestUsersOfItsOwn are asked for by a pod, or are not missed.
func TestUsersOfItsOwn(t *testing.T) {
	for name, tt := range map[string]struct {
		hostUsers *bool
		lacks     error
		runs      bool
	}{
		"it does not say":           {nil, errors.New("an old kernel"), true},
		"it wants the host's":       {ptr.To(true), errors.New("an old kernel"), true},
		"it wants its own":          {ptr.To(false), nil, true},
		"it cannot have its own":    {ptr.To(false), errors.New("an old kernel"), false},
		"it does not say, it could": {nil, nil, true},
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.features.UserNamespaces = tt.lacks
			n.restart()
			p := testPod(corev1.RestartPolicyAlways, "a")
			p.Spec.HostUsers = tt.hostUsers
			n.api.create(p)
			pass(10 * time.Second)
			if runs := n.phase() == corev1.PodRunning; runs != tt.runs || (n.events.count("FailedCreatePodSandBox") > 0) == tt.runs {
				t.Errorf("%s: %s, events %v", name, n.phase(), n.events.all)
			}
		})
	}
}

// TestAPodWithoutASandbox says so.
func TestAPodWithoutASandbox(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.held.set("sandbox", &n.held.fails, errors.New("full"))
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		for _, want := range []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue} {
			pass(10 * time.Second)
			s := n.api.current().Status
			if c := pod.Condition(&s, corev1.PodReadyToStartContainers); c == nil || c.Status != want {
				t.Errorf("%+v, want %s", c, want)
			}
			n.held.set("sandbox", &n.held.fails, nil)
		}
	})
}

// TestAnAPIThatIsAwayIsToldLater: of an end, and that a pod may be deleted.
func TestAnAPIThatIsAwayIsToldLater(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyNever, "a"))
		pass(time.Minute)
		n.api.setAway(true)
		n.rt.Exit(n.newest("a").ID, 0)
		pass(10 * retryDelay)
		n.want("while it is away", string(n.phase()), "Running")
		n.api.setAway(false)
		pass(2 * retryDelay)
		n.want("when it is back", string(n.phase()), "Succeeded")
		n.api.setAway(true)
		n.api.remove(0)
		pass(10 * retryDelay)
		n.want("deleted while it is away", string(n.phase()), "Succeeded")
		n.api.setAway(false)
		pass(2 * retryDelay)
		n.want("then", string(n.phase()), "gone")
		pass(time.Minute)
		n.nothingLeft()
	})
}
