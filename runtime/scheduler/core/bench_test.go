package core

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kinds are pods by what they ask of their place; app labels the group that a pod
// of a kind belongs to.
var kinds = []struct {
	name string
	edit func(*corev1.Pod)
}{
	{"plain", func(*corev1.Pod) {}},
	{"node-affinity", func(p *corev1.Pod) {
		inZones := func(zones ...string) corev1.NodeSelectorTerm {
			return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: zones},
			}}
		}
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{inZones("z0", "z1")}},
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 10, Preference: inZones("z1")}},
		}}
	}},
	{"pod-affinity", func(p *corev1.Pod) { together(corev1.LabelTopologyZone, p.Labels)(p) }},
	{"anti-affinity", apart(corev1.LabelHostname)},
	{"spreading", func(p *corev1.Pod) {
		spreadOver(corev1.LabelTopologyZone, 1, corev1.DoNotSchedule)(p)
		soft := corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
		}
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, soft)
	}},
}

// kindPod is the i-th pod of a kind; twenty are a group, ten groups a namespace.
func kindPod(kind string, i int, edit func(*corev1.Pod)) *corev1.Pod {
	app := fmt.Sprintf("%s-%d", kind, i/20)
	p := makePod(fmt.Sprintf("%s-%d", kind, i), "10m", "10Mi", ownedBy(app))
	p.Namespace, p.Labels = fmt.Sprintf("%s-%d", kind, i/200), map[string]string{"app": app}
	edit(p)
	return p
}

// BenchmarkKinds decides on one pod of each kind on 5,000 nodes that hold 12,000
// pods, 2,000 of which have affinities or constraints; nothing is placed.
func BenchmarkKinds(b *testing.B) {
	c, pr := NewSnapshot(), defaultProfile(b)
	const nodes = 5000
	for i := range nodes {
		c.SetNode(makeNode(fmt.Sprint("n", i), "32", "64Gi", zone(fmt.Sprint("z", i%3))))
	}
	at := 0
	for _, k := range kinds {
		pods := 500
		if k.name == "plain" {
			pods = 10000
		}
		for i := range pods {
			c.AddPod(compile(b, kindPod(k.name, i, k.edit)), fmt.Sprint("n", at*7919%nodes))
			at++
		}
	}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			p := kindPod(k.name, 0, k.edit)
			p.UID = "new"
			pod := compile(b, p)
			b.ReportAllocs()
			defer cpuTime(b)()
			for b.Loop() {
				if _, err := pr.Schedule(b.Context(), c, pod, firstTie); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("unschedulable", func(b *testing.B) {
		pod := compile(b, makePod("big", "64", "1Gi"))
		b.ReportAllocs()
		defer cpuTime(b)()
		for b.Loop() {
			if _, err := pr.Schedule(b.Context(), c, pod, firstTie); err == nil {
				b.Fatal("a pod of 64 cores found a node of 32")
			}
		}
	})
}

// cpuTime reports the CPU time of an operation, which other work on the machine
// changes less than the time on the clock.
func cpuTime(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}
