package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// TestWorkloadsSurviveTheirController runs workloads on model kubelets while
// controllers are stopped and others take over, and while somebody deletes what
// the controllers still need.
func TestWorkloadsSurviveTheirController(t *testing.T) {
	p := startControlPlane(t)
	for _, n := range []string{"w1", "w2", "w3"} {
		p.startNode(n)
	}
	_, err := p.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	p.must(err)
	p.until("namespace has its service account", func() error {
		_, err := p.admin.CoreV1().ServiceAccounts("shop").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	t.Run("jobs are counted exactly", func(*testing.T) { p.exactJobs() })
	t.Run("daemon sets follow nodes", func(*testing.T) { p.daemonsFollow() })
}

func once(name string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(0)),
			Containers: []corev1.Container{{Name: "c", Image: "c"}}},
	}
}

// exactJobs runs two jobs; of one, each pod is deleted as soon as it has ended.
func (p *controlPlane) exactJobs() {
	const pods = 40
	ctx := p.Context()
	for name, mode := range map[string]batchv1.CompletionMode{"plain": batchv1.NonIndexedCompletion, "indexed": batchv1.IndexedCompletion} {
		_, err := p.admin.BatchV1().Jobs("shop").Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{
			Completions: new(int32(pods)), Parallelism: new(int32(10)), CompletionMode: &mode, Template: once(name),
		}}, metav1.CreateOptions{})
		p.must(err)
	}
	watch, err := p.admin.CoreV1().Pods("shop").Watch(ctx, metav1.ListOptions{ResourceVersion: "0"})
	p.must(err)
	var mu sync.Mutex
	made := map[string]map[types.UID]bool{"plain": {}, "indexed": {}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range watch.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			mu.Lock()
			made[pod.Labels["app"]][pod.UID] = true
			mu.Unlock()
			if pod.Labels["app"] == "plain" && pod.Status.Phase == corev1.PodSucceeded && pod.DeletionTimestamp == nil {
				p.admin.CoreV1().Pods("shop").Delete(ctx, pod.Name, metav1.DeleteOptions{}) //nolint:errcheck // its job may be faster
			}
		}
	})
	stop := p.controllers
	for i := range 2 {
		p.until("some are done", func() error { return p.done("plain", int32(10*(i+1))) })
		stop()
		stop = p.startControllers(fmt.Sprint("next-", i), alive)
	}
	p.controllers = stop
	for name := range made {
		p.until("job "+name+" is complete", func() error {
			j, err := p.admin.BatchV1().Jobs("shop").Get(ctx, name, metav1.GetOptions{})
			if err == nil && (j.Status.CompletionTime == nil || j.Status.Succeeded != pods || j.Status.Failed != 0 || j.Status.Active != 0) {
				return fmt.Errorf("status %+v", j.Status)
			}
			return err
		})
	}
	watch.Stop()
	wg.Wait()
	for name, uids := range made {
		if len(uids) != pods {
			p.Errorf("job %s had %d pods, want %d", name, len(uids), pods)
		}
	}
}

func (p *controlPlane) done(job string, least int32) error {
	j, err := p.admin.BatchV1().Jobs("shop").Get(p.Context(), job, metav1.GetOptions{})
	if err == nil && j.Status.Succeeded < least {
		return fmt.Errorf("%d are done", j.Status.Succeeded)
	}
	return err
}

// daemonsFollow labels and unlabels nodes, and starts another.
func (p *controlPlane) daemonsFollow() {
	ctx := p.Context()
	app := map[string]string{"app": "agent"}
	_, err := p.admin.AppsV1().DaemonSets("shop").Create(ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: app},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"agent": "yes"}, TerminationGracePeriodSeconds: new(int64(0)), Containers: []corev1.Container{{Name: "c", Image: "c"}}}},
	}}, metav1.CreateOptions{})
	p.must(err)
	label := func(node, value string) {
		_, err := p.admin.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"metadata":{"labels":{"agent":`+value+`}}}`), metav1.PatchOptions{})
		p.must(err)
	}
	on := func(nodes ...string) {
		p.until(fmt.Sprintf("agents are on %v", nodes), func() error {
			list, err := p.admin.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: labels.FormatLabels(app)})
			if err != nil {
				return err
			}
			var got []string
			for _, pod := range list.Items {
				got = append(got, pod.Spec.NodeName)
			}
			slices.Sort(got)
			ds, err := p.admin.AppsV1().DaemonSets("shop").Get(ctx, "agent", metav1.GetOptions{})
			if err == nil && (strings.Join(got, " ") != strings.Join(nodes, " ") || int(ds.Status.NumberAvailable) != len(nodes) || int(ds.Status.DesiredNumberScheduled) != len(nodes)) {
				return fmt.Errorf("they are on %v, status %+v", got, ds.Status)
			}
			return err
		})
	}
	on()
	label("w1", `"yes"`)
	label("w3", `"yes"`)
	on("w1", "w3")
	label("w1", "null")
	on("w3")
	p.startNode("w4")
	label("w4", `"yes"`)
	on("w3", "w4")
}
