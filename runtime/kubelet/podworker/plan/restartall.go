package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// restartsAll is a container whose end restarts all of them; nil for none.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-all-containers
func (p *planner) restartsAll() *container.Container {
	for _, c := range pod.Containers(&p.Pod.Spec, pod.InitContainers|pod.MainContainers) {
		cur := p.Current(c.Name)
		if cur != nil && cur.Exit != nil && pod.RestartRule(c, cur.Exit.Code) == corev1.ContainerRestartRuleActionRestartAllContainers {
			return cur
		}
	}
	return nil
}

// restartAll ends what runs, and then has all begin anew, from the first init container
// on. One whose end does so again and again is waited for as if it were alone.
func (p *planner) restartAll(source *container.Container) {
	p.d.RestartingAll, p.d.Initialized = true, true
	for _, c := range pod.Containers(&p.Pod.Spec, pod.InitContainers|pod.MainContainers) {
		if cur := p.Current(c.Name); cur != nil && cur.State == container.StateRunning {
			p.d.Kill = append(p.d.Kill, Kill{Container: cur, Message: "Stopping container " + c.Name, AtOnce: true})
		}
	}
	switch due := p.Due(source.Name); {
	case len(p.d.Kill) > 0:
	case due.After(p.Now):
		p.d.WakeAt, p.d.BackingOff = due, append(p.d.BackingOff, source)
	default:
		p.d.Reset = true
	}
}
