//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// podsNamespace is where the tests of pods are.
const podsNamespace = "pods"

// TestPods runs what users of Kubernetes expect of pods on one cluster.
func TestPods(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-pods", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), f.Workers...); err != nil {
		t.Fatal(err)
	}
	p := newPods(t, f, 1)
	p.testCases(t, slices.Concat(podCases(), isolationCases(), p.userCases(t), p.appArmorCases(t, f.Workers[0])))
	p.testStories(t, podStories())
}

// pods is what the tests share.
type pods struct {
	*Flow
	api kubernetes.Interface
	// patience multiplies how long is waited for anything. Where it is more than
	// one, the first failure ends the test: a server that stands still would cost as
	// much with each case that is left.
	patience time.Duration
}

func newPods(t *testing.T, f *Flow, patience time.Duration) *pods {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", f.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	api, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &pods{f, api, patience}
}

// testCases starts all pods at once; each case then waits for its own.
func (p *pods) testCases(t *testing.T, cases []podCase) {
	var all strings.Builder
	all.WriteString(podObjects)
	for _, c := range cases {
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: pods\n  labels: {app: %[1]s}\n  annotations: {note: before}\nspec:\n  terminationGracePeriodSeconds: 2\n%s", c.name, indent(c.spec))
	}
	if err := p.apply(t.Context(), all.String()); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		p.run(t, c.name, func(ctx context.Context) error {
			return Eventually(ctx, p.patience*40*time.Second, func(ctx context.Context) error { return p.check(ctx, c) })
		})
	}
}

// podStory is what happens to pods, and must come of it.
type podStory struct {
	name string
	do   func(context.Context, *pods) error
}

func (p *pods) testStories(t *testing.T, stories []podStory) {
	for _, s := range stories {
		p.run(t, s.name, func(ctx context.Context) error { return s.do(ctx, p) })
	}
}

func (p *pods) run(t *testing.T, name string, do func(context.Context) error) {
	passed := t.Run(name, func(t *testing.T) {
		start := time.Now()
		if err := do(testContext(t)); err != nil {
			p.failures.add(name, err)
			t.Error(err)
		}
		t.Logf("%.1f s", time.Since(start).Seconds())
	})
	if !passed && p.patience > 1 {
		t.FailNow()
	}
}

func podStories() []podStory {
	return []podStory{
		{"volumes follow their objects", volumesFollow},
		{"a container whose ConfigMap comes later", configMapComes},
		{"liveness", livenessRestarts},
		{"logs", logs},
		{"exec", execSessions},
		{"attach", attachSession},
		{"port-forward", portForwards},
		{"hooks and grace", hooksAndGrace},
		{"cgroups", cgroups},
		{"host network and host ports", hostPorts},
		{"pods of other nodes", acrossNodes},
		{"a registry", registryPull},
		{"containers outlive kubelet and containerd", restarts},
		{"through the tunnel", tunnel},
		{"a server that loses power", powerCut},
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(s), "IMAGE", AppImage), "\n", "\n  ") + "\n"
}

func (p *pods) apply(ctx context.Context, manifest string) error {
	return soon(func(ctx context.Context) error {
		return p.Cluster.Apply(ctx, strings.ReplaceAll(manifest, "IMAGE", AppImage))
	})(ctx)
}

func (p *pods) get(ctx context.Context, name string) (*corev1.Pod, error) {
	return p.api.CoreV1().Pods(podsNamespace).Get(ctx, name, metav1.GetOptions{})
}

func (p *pods) log(ctx context.Context, pod, container string) (string, error) {
	out, err := p.api.CoreV1().Pods(podsNamespace).GetLogs(pod, &corev1.PodLogOptions{Container: container}).DoRaw(ctx)
	return string(out), err
}

// kubectl works in the tests' namespace.
func (p *pods) kubectl(ctx context.Context, args ...string) (string, error) {
	return p.Cluster.Kubectl(ctx, append([]string{"-n", podsNamespace}, args...)...)
}

// until waits for a condition on a pod.
func (p *pods) until(ctx context.Context, name string, ok func(*corev1.Pod) bool) error {
	return Eventually(ctx, p.patience*40*time.Second, func(ctx context.Context) error {
		pod, err := p.get(ctx, name)
		if err == nil && !ok(pod) {
			err = fmt.Errorf("pod %s is %s", name, brief(pod))
		}
		return err
	})
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func brief(p *corev1.Pod) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", p.Status.Phase, p.Status.Reason)
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		fmt.Fprintf(&b, "; %s ready=%t restarts=%d", c.Name, c.Ready, c.RestartCount)
		if w := c.State.Waiting; w != nil {
			fmt.Fprintf(&b, " waiting: %s %s", w.Reason, w.Message)
		}
		if s := c.State.Terminated; s != nil {
			fmt.Fprintf(&b, " ended: %d %s %s", s.ExitCode, s.Reason, s.Message)
		}
	}
	return b.String()
}
