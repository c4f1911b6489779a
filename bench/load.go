package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bench/master"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// clients is how many create at once, each over a connection of its own.
	clients = 20
	// starts is how often the API server is started for the median.
	starts = 5
	// settle is how long the processes are left alone before they count as idle:
	// more than the minute after which they give back what work has left.
	settle = 75 * time.Second
)

// controlPlane measures a master without servers: how fast it starts, what it
// costs idle, how fast objects are created, and pods bound to hollow nodes.
func (r *report) controlPlane(ctx context.Context, gantry string, b bench) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := master.New(gantry, dir, b.profile)
	if err != nil {
		return err
	}
	defer m.Stop()
	if err := m.Start(ctx, config.Etcd); err != nil {
		return err
	}
	for range starts {
		if err := m.Start(ctx, config.APIServer); err != nil {
			return err
		}
		r.time("API server: start to ready, etcd running", m.Process(config.APIServer).Start)
		m.Stop(config.APIServer)
	}
	if err := m.Start(ctx, config.APIServer, config.ControllerManager, config.Scheduler); err != nil {
		return err
	}
	if err := r.masterIdle(ctx, m, b.idle); err != nil {
		return err
	}
	m.Stop(config.Scheduler)
	if err := r.creates(ctx, m); err != nil {
		return err
	}
	return r.hollow(ctx, m, b.hollowNodes, b.hollowPods)
}

// masterIdle measures the processes of a master that is nothing but a master.
func (r *report) masterIdle(ctx context.Context, m *master.Master, period time.Duration) error {
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	before, err := usages(m)
	if err != nil {
		return err
	}
	if err := sleep(ctx, period); err != nil {
		return err
	}
	after, err := usages(m)
	if err != nil {
		return err
	}
	var total master.Usage
	for _, c := range config.MasterComponents() {
		u := after[c]
		cpu := (u.CPU - before[c].CPU) * float64(time.Minute) / float64(period)
		total.PSS, total.Anonymous, total.CPU = total.PSS+u.PSS, total.Anonymous+u.Anonymous, total.CPU+cpu
		r.memoryRows = append(r.memoryRows, fmt.Sprintf("| %s alone on loopback | %.0f MiB | %.0f MiB | %.2f s |", c, u.PSS, u.Anonymous, cpu))
	}
	r.memoryRows = append(r.memoryRows, fmt.Sprintf("| **master processes alone** | **%.0f MiB** | **%.0f MiB** | **%.2f s** |", total.PSS, total.Anonymous, total.CPU))
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func usages(m *master.Master) (map[config.Component]master.Usage, error) {
	out := map[config.Component]master.Usage{}
	for _, c := range config.MasterComponents() {
		p := m.Process(c)
		if p == nil {
			continue
		}
		u, err := p.Usage()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		out[c] = u
	}
	return out, nil
}

// creates measures creation by many clients, first with few bytes and no
// admission to speak of, then of pods that no scheduler looks at.
func (r *report) creates(ctx context.Context, m *master.Master) error {
	for _, kind := range []struct {
		name, upstream string
		n              int
		create         func(context.Context, *client.Client, string) error
	}{
		{"ConfigMaps", "1553/s, p50 11.5 ms", 10000, func(ctx context.Context, c *client.Client, name string) error {
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": "value"}}
			_, err := c.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{})
			return err
		}},
		{"Pods", "678/s, p50 27.5 ms", 6000, func(ctx context.Context, c *client.Client, name string) error {
			_, err := c.CoreV1().Pods("default").Create(ctx, hollowPod(name, "elsewhere"), metav1.CreateOptions{})
			return err
		}},
	} {
		before, err := usages(m)
		if err != nil {
			return err
		}
		latencies, took, err := byMany(ctx, m.Client, kind.n, kind.name, kind.create)
		if err != nil {
			return fmt.Errorf("create %s: %w", kind.name, err)
		}
		after, err := usages(m)
		if err != nil {
			return err
		}
		per := func(c config.Component) float64 { return (after[c].CPU - before[c].CPU) * 1000 / float64(kind.n) }
		r.loadRows = append(r.loadRows, fmt.Sprintf("| create %d %s, %d clients | %.0f/s, p50 %.1f ms, p99 %.1f ms | %s | API server %.2f, etcd %.2f |",
			kind.n, kind.name, clients, float64(kind.n)/took.Seconds(), milliseconds(percentile(latencies, 50)), milliseconds(percentile(latencies, 99)),
			kind.upstream, per(config.APIServer), per(config.Etcd)))
		fmt.Fprintln(os.Stderr, "  "+r.loadRows[len(r.loadRows)-1])
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// byMany calls create n times from all clients at once. Connections are made
// before the clock starts.
func byMany(ctx context.Context, connect func() (*client.Client, error), n int, name string, create func(context.Context, *client.Client, string) error) ([]time.Duration, time.Duration, error) {
	var connected [clients]*client.Client
	for i := range connected {
		c, err := connect()
		if err != nil {
			return nil, 0, err
		}
		if _, err := c.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return nil, 0, err
		}
		connected[i] = c
	}
	latencies, errs := make([]time.Duration, n), make([]error, clients)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i, c := range connected {
		wg.Go(func() {
			for {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				begun := time.Now()
				if errs[i] = create(ctx, c, fmt.Sprintf("%s-%d", strings.ToLower(name), k)); errs[i] != nil {
					return
				}
				latencies[k] = time.Since(begun)
			}
		})
	}
	wg.Wait()
	return latencies, time.Since(start), errors.Join(errs...)
}

func hollowPod(name, scheduler string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "hollow"}},
		Spec: corev1.PodSpec{SchedulerName: scheduler, Containers: []corev1.Container{{
			Name: "c", Image: "hollow:1",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
			}},
		}}},
	}
}
