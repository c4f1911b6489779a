package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/e2e"
)

// atOnce is how many pods the parallel figure creates together, as upstream's.
const atOnce = 30

// podLatencies measures from the create call to the Ready condition as a watch
// sees it: n pods one after another, then atOnce together.
func podLatencies(ctx context.Context, kubeconfig string, n int) (oneByOne, together []time.Duration, err error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	cfg.QPS = -1
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		d, err := createAndWait(ctx, c, fmt.Sprintf("one-%d", i))
		if err != nil {
			return nil, nil, err
		}
		oneByOne = append(oneByOne, d...)
	}
	var names []string
	for i := range atOnce {
		names = append(names, fmt.Sprintf("all-%d", i))
	}
	together, err = createAndWait(ctx, c, names...)
	return oneByOne, together, err
}

// createAndWait creates pods, waits until all are Ready and removes them.
func createAndWait(ctx context.Context, c kubernetes.Interface, names ...string) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	api := c.CoreV1().Pods(metav1.NamespaceDefault)
	w, err := api.Watch(ctx, metav1.ListOptions{LabelSelector: "bench=" + names[0]})
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	start := time.Now()
	failed := make(chan error, len(names))
	for _, name := range names {
		go func() {
			_, err := api.Create(ctx, pod(name, names[0]), metav1.CreateOptions{})
			failed <- err
		}()
	}
	var out []time.Duration
	ready := map[string]bool{}
	for created := 0; len(ready) < len(names); {
		select {
		case err := <-failed:
			if created++; err != nil {
				return nil, err
			}
		case ev, ok := <-w.ResultChan():
			if !ok {
				return nil, fmt.Errorf("%d of %d pods were ready when the watch ended: %w", len(ready), len(names), ctx.Err())
			}
			if p, ok := ev.Object.(*corev1.Pod); ok && isReady(p) && !ready[p.Name] {
				ready[p.Name] = true
				out = append(out, time.Since(start))
			}
		}
	}
	now := int64(0)
	if err := api.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{LabelSelector: "bench=" + names[0]}); err != nil {
		return nil, err
	}
	return out, e2e.Eventually(ctx, time.Minute, func(ctx context.Context) error {
		l, err := api.List(ctx, metav1.ListOptions{LabelSelector: "bench=" + names[0]})
		if err == nil && len(l.Items) > 0 {
			err = fmt.Errorf("%d pods are still there", len(l.Items))
		}
		return err
	})
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func pod(name, group string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bench": group}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "hello", Image: e2e.AppImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"serve"},
		}}},
	}
}
