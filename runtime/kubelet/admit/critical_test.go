package admit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
)

const critical = systemCriticalPriority

// ofPriority is a pod of a priority that asks for CPU and memory ("": for nothing); limited
// ones have limits of the same size, which makes them Guaranteed.
func ofPriority(name, cpu, memory string, prio int32, limited bool) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name, p.UID, p.Spec.Priority = name, types.UID(name), &prio
	c := corev1.Container{Name: "c"}
	if cpu != "" {
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	if limited {
		c.Resources.Limits = c.Resources.Requests
	}
	p.Spec.Containers = []corev1.Container{c}
	return p
}

func has(cpu, memory, pods string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourcePods: resource.MustParse(pods)}
}

func TestVictims(t *testing.T) {
	burstable := func(name, cpu, memory string) *corev1.Pod { return ofPriority(name, cpu, memory, 0, false) }
	guaranteed := func(name, cpu, memory string) *corev1.Pod { return ofPriority(name, cpu, memory, 0, true) }
	bestEffort := func(name string) *corev1.Pod { return ofPriority(name, "", "", 0, false) }
	for _, tc := range []struct {
		name   string
		pod    *corev1.Pod
		has    corev1.ResourceList
		others []*corev1.Pod
		want   string
		err    string
	}{
		{"there is room", ofPriority("p", "1", "1Gi", critical, false), has("2", "2Gi", "9"), []*corev1.Pod{burstable("a", "1", "1Gi")}, "", ""},
		{"one gives way", ofPriority("p", "1", "1Gi", critical, false), has("1", "2Gi", "9"), []*corev1.Pod{burstable("a", "1", "1Gi")}, "a", ""},
		{"a millicore is short", ofPriority("p", "1m", "1Gi", critical, false), has("1", "9Gi", "9"), []*corev1.Pod{burstable("a", "500m", "1Gi"), burstable("b", "500m", "2Gi")}, "a", ""},
		{"the smallest that suffices", ofPriority("p", "1", "1Gi", critical, false), has("6", "99Gi", "9"), []*corev1.Pod{burstable("a", "3", "3Gi"), burstable("b", "1", "1Gi"), burstable("c", "2", "2Gi")}, "b", ""},
		{"less memory before less cpu", ofPriority("p", "1", "1Gi", critical, false), has("3", "99Gi", "9"), []*corev1.Pod{burstable("a", "1", "2Gi"), burstable("b", "2", "1Gi")}, "b", ""},
		{"less cpu of the same memory", ofPriority("p", "1", "1Gi", critical, false), has("3", "99Gi", "9"), []*corev1.Pod{burstable("a", "2", "1Gi"), burstable("b", "1", "1Gi")}, "b", ""},
		{"one large before two small", ofPriority("p", "2", "1Gi", critical, false), has("4", "99Gi", "9"), []*corev1.Pod{burstable("a", "1", "1Gi"), burstable("b", "1", "1Gi"), burstable("c", "2", "9Gi")}, "c", ""},
		{"two when one is not enough", ofPriority("p", "3", "1Gi", critical, false), has("4", "99Gi", "9"), []*corev1.Pod{burstable("a", "1", "1Gi"), burstable("b", "1", "1Gi"), burstable("c", "2", "9Gi")}, "a c", ""},
		{"whoever leaves least of both", ofPriority("p", "2", "2Gi", critical, false), has("4", "4Gi", "9"), []*corev1.Pod{burstable("a", "2", "500Mi"), burstable("b", "1500m", "1500Mi"), burstable("c", "500m", "2Gi")}, "a b", ""},
		{"burstable before guaranteed", ofPriority("p", "1", "1Gi", critical, false), has("4", "99Gi", "9"), []*corev1.Pod{guaranteed("a", "1", "1Gi"), burstable("b", "3", "9Gi")}, "b", ""},
		{"guaranteed when burstable are not enough", ofPriority("p", "2", "1Gi", critical, false), has("4", "99Gi", "9"), []*corev1.Pod{guaranteed("a", "2", "1Gi"), guaranteed("b", "1", "1Gi"), burstable("c", "1", "9Gi")}, "b c", ""},
		{"burstable stay where guaranteed suffice", ofPriority("p", "3", "1Gi", critical, false), has("4", "99Gi", "9"), []*corev1.Pod{guaranteed("a", "3", "1Gi"), burstable("c", "1", "9Gi")}, "a", ""},
		{"best effort for a place", ofPriority("p", "1", "1Gi", critical, false), has("9", "99Gi", "2"), []*corev1.Pod{burstable("a", "1", "1Gi"), bestEffort("b")}, "b", ""},
		{"best effort give no cpu", ofPriority("p", "1", "1Gi", critical, false), has("1", "99Gi", "3"), []*corev1.Pod{burstable("a", "1", "1Gi"), bestEffort("b")}, "a", ""},
		{"one gives place and cpu", ofPriority("p", "1", "1Gi", critical, false), has("1", "99Gi", "2"), []*corev1.Pod{burstable("a", "1", "1Gi"), bestEffort("b")}, "a", ""},
		{"the critical stay", ofPriority("p", "1", "1Gi", critical, false), has("2", "99Gi", "9"), []*corev1.Pod{ofPriority("a", "1", "1Gi", critical, false), burstable("b", "1", "9Gi")}, "b", ""},
		{"a less critical gives way", ofPriority("p", "1", "1Gi", critical+1, false), has("1", "99Gi", "9"), []*corev1.Pod{ofPriority("a", "1", "1Gi", critical, false)}, "a", ""},
		{"none is enough", ofPriority("p", "2", "1Gi", critical, false), has("2", "99Gi", "9"), []*corev1.Pod{ofPriority("a", "1", "1Gi", critical, false), burstable("b", "500m", "1Gi")}, "", "[(res: cpu, q: 1000), ]"},
		{"it is larger than the node", ofPriority("p", "3", "3Gi", critical, false), has("2", "2Gi", "9"), nil, "", "[(res: cpu, q: 1000), (res: memory, q: 1073741824), ]"},
		{"no place for any", ofPriority("p", "", "", critical, false), has("2", "2Gi", "0"), nil, "", "[(res: pods, q: 1), ]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			victims, err := Victims(Attributes{Pod: tc.pod, Others: tc.others, Allocatable: tc.has})
			var got []string
			for _, p := range victims {
				got = append(got, p.Name)
			}
			slices.Sort(got)
			if tc.err != "" {
				if want := "preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: " + tc.err; err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil || strings.Join(got, " ") != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// TestVictimsMakeRoom: without them the handlers admit the pod, on any node.
func TestVictimsMakeRoom(t *testing.T) {
	made := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		size := func() (string, string) {
			return fmt.Sprintf("%dm", 100*r.IntN(20)), fmt.Sprintf("%dMi", 100*r.IntN(20))
		}
		random := func(name string, prio int32) *corev1.Pod {
			cpu, memory := size()
			return ofPriority(name, cpu, memory, prio, r.IntN(2) == 0)
		}
		a := Attributes{Pod: random("p", critical), Allocatable: has("4", "4Gi", fmt.Sprint(4+r.IntN(8)))}
		for i := range r.IntN(10) {
			prio := int32(0)
			if r.IntN(4) == 0 {
				prio = critical
			}
			a.Others = append(a.Others, random(fmt.Sprint("o", i), prio))
		}
		beside := Chain{PodCount{}, NodeResources{}}
		victims, err := Victims(a)
		if err != nil {
			continue
		}
		if len(victims) > 0 {
			made++
		}
		if rejected := beside.Admit(t.Context(), a) != nil; rejected != (len(victims) > 0) {
			t.Errorf("seed %d: rejected %v, %d victims", seed, rejected, len(victims))
		}
		a.Others = slices.DeleteFunc(a.Others, func(p *corev1.Pod) bool {
			if slices.Contains(victims, p) && IsCritical(p) {
				t.Errorf("seed %d: %s is as critical", seed, p.Name)
			}
			return slices.Contains(victims, p)
		})
		if why := beside.Admit(t.Context(), a); why != nil {
			t.Errorf("seed %d: %s", seed, why.Message)
		}
	}
	if made < 50 {
		t.Errorf("only %d of 300 made room: the test tests too little", made)
	}
}

func TestIsCritical(t *testing.T) {
	for prio, want := range map[int32]bool{critical - 1: false, critical: true, critical + 1000: true} {
		if IsCritical(ofPriority("p", "", "", prio, false)) != want {
			t.Errorf("%d: %v", prio, !want)
		}
	}
	if IsCritical(&corev1.Pod{}) {
		t.Error("a pod without a priority is")
	}
}

// TestStaticPodsAreCritical: they take the place of those that are not, and of critical
// ones only by a greater priority of their own.
func TestStaticPodsAreCritical(t *testing.T) {
	static, pods := &corev1.Pod{}, []*corev1.Pod{}
	static.Annotations = map[string]string{pod.ConfigSourceAnnotation: "file"}
	for _, priority := range []*int32{nil, ptr.To[int32](0), ptr.To[int32](critical), ptr.To[int32](critical + 5)} {
		p := &corev1.Pod{}
		p.Spec.Priority = priority
		pods = append(pods, p)
	}
	pods = append(pods, static)
	for mine, want := range map[*int32]string{nil: "11000", ptr.To[int32](critical + 1): "11100", ptr.To[int32](critical + 6): "11110"} {
		to := static.DeepCopy()
		to.Spec.Priority = mine
		var got string
		for _, p := range pods {
			got += map[bool]string{true: "1", false: "0"}[preemptable(to, p)]
		}
		if !IsCritical(to) || got != want {
			t.Errorf("of priority %v: %s, want %s", ptr.Deref(mine, 0), got, want)
		}
	}
}
