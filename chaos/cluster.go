package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

// cluster is what is tormented.
type cluster struct {
	flow  *e2e.Flow
	rolls int

	mu sync.Mutex // held for flow.Workers too
	// applied is how long the last apply took.
	applied time.Duration
}

func (c *cluster) workers() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.flow.Workers)
}

func (c *cluster) nodes() []string { return slices.Concat(c.flow.Masters, c.workers()) }

// diskBytes is the size of each host's disk, which is sparse.
const diskBytes = 4 << 30

// clusterName is that of the example.
const clusterName = "quickstart"

// startCluster boots the servers, applies, and creates what runs in the cluster.
func startCluster(ctx context.Context, tools e2e.Tools, name, dir string, printed io.Writer) (*cluster, error) {
	masters, workers := []string{"master-1", "master-2", "master-3"}, []string{"worker-1", "worker-2", "worker-3"}
	began := time.Now()
	servers := lab.Options{Name: name, Hosts: slices.Concat(masters, workers, []string{spare}), DiskBytes: diskBytes}
	f, err := e2e.NewFlowOn(ctx, tools, "ha", servers, dir, masters, workers, printed)
	if err != nil {
		return nil, err
	}
	if err := f.Apply(ctx); err != nil {
		return nil, err
	}
	if err := f.Cluster.ImportImage(ctx, f.Nodes()...); err != nil {
		return nil, err
	}
	manifests, err := workloads(name)
	if err == nil {
		err = f.Cluster.Apply(ctx, manifests)
	}
	if err != nil {
		return nil, err
	}
	c := &cluster{flow: f}
	api, err := c.masters()
	if err != nil {
		return nil, err
	}
	if err := e2e.Eventually(ctx, time.Minute, func(ctx context.Context) error { return c.settled(ctx, api) }); err != nil {
		return nil, fmt.Errorf("the cluster does not come up: %w", err)
	}
	fmt.Printf("three masters and three workers, with what runs on them, after %.1f s\n", time.Since(began).Seconds())
	return c, nil
}

// masters are ways to the API of each master, which share no connection with others.
func (c *cluster) masters() ([]*master, error) {
	var out []*master
	for _, name := range c.flow.Masters {
		cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.flow.Cluster.Kubeconfig},
			&clientcmd.ConfigOverrides{CurrentContext: clusterName + "-" + name}).ClientConfig()
		if err != nil {
			return nil, err
		}
		// A dialer of its own: transports with equal configurations are shared.
		cfg.Dial = dialer()
		client, err := rest.HTTPClientFor(cfg)
		if err != nil {
			return nil, err
		}
		out = append(out, &master{name: name, base: cfg.Host, client: client})
	}
	return out, nil
}
