package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// Flow is one cluster's life: bare servers, apply, grow, shrink, destroy. The
// demo shows it, the tests assert on it.
type Flow struct {
	Lab       *lab.Lab
	Workspace *Workspace
	Cluster   *Cluster
	Masters   []string
	Workers   []string

	tools Tools
	show  io.Writer
	// failures are what is said last of a test that failed.
	failures failures
}

// failures are why steps of a test failed, some of them at the same time.
type failures struct {
	mu  sync.Mutex
	why []string
}

// pool is the address of the workers in examples/quickstart.
const pool = "gantry_node_pool.workers"

// NewFlow boots the servers and prepares a copy of examples/quickstart in dir.
func NewFlow(ctx context.Context, tools Tools, name, dir string, masters, workers []string, show io.Writer) (*Flow, error) {
	return NewFlowOf(ctx, tools, "quickstart", name, dir, masters, workers, nil, show)
}

// NewFlowOf does the same with another example, and boots spare servers too.
func NewFlowOf(ctx context.Context, tools Tools, example, name, dir string, masters, workers, spare []string, show io.Writer) (*Flow, error) {
	return NewFlowOn(ctx, tools, example, lab.Options{Name: name, Hosts: slices.Concat(masters, workers, spare)}, dir, masters, workers, show)
}

// NewFlowOn does the same on servers of any kind.
func NewFlowOn(ctx context.Context, tools Tools, example string, servers lab.Options, dir string, masters, workers []string, show io.Writer) (*Flow, error) {
	l, err := lab.Start(ctx, servers)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	w, err := NewWorkspace(tools, example, dir, show)
	if err != nil {
		return nil, err
	}
	f := &Flow{Lab: l, Workspace: w, Masters: masters, Workers: workers, tools: tools, show: show}
	if err := w.SetHosts(l, masters, workers); err != nil {
		return nil, err
	}
	return f, w.Init(ctx)
}

// Nodes are the names of all nodes.
func (f *Flow) Nodes() []string { return slices.Concat(f.Masters, f.Workers) }

// Apply applies, opens the cluster by its kubeconfig and sees that every node is
// Ready: they have to be when the apply ends.
func (f *Flow) Apply(ctx context.Context) error {
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	if err := f.Workspace.Apply(ctx); err != nil {
		return err
	}
	if err := f.open(ctx); err != nil {
		return err
	}
	return answered(f.NodesReady)(ctx)
}

// open takes the cluster by the kubeconfig that was written.
func (f *Flow) open(ctx context.Context) error {
	kubeconfig, err := f.Workspace.Output(ctx, "kubeconfig")
	if err != nil {
		return err
	}
	f.Cluster = NewCluster(f.tools, f.Lab, kubeconfig, f.show)
	return nil
}

// NodesReady checks that exactly the nodes of the HCL exist and are Ready.
func (f *Flow) NodesReady(ctx context.Context) error {
	out, err := f.Cluster.Kubectl(ctx, "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	if err != nil {
		return err
	}
	var want []string
	for _, n := range f.Nodes() {
		want = append(want, n+"=True")
	}
	got := strings.Fields(out)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return wrongAnswer{fmt.Errorf("nodes are %v, want %v", got, want)}
	}
	return nil
}

// applied sees that what is configured is so, without an apply: nothing is left to plan.
func (f *Flow) applied(ctx context.Context) error {
	if err := f.Unchanged(ctx); err != nil {
		return err
	}
	if err := f.open(ctx); err != nil {
		return err
	}
	return answered(f.NodesReady)(ctx)
}

// Unchanged plans and finds nothing to do.
func (f *Flow) Unchanged(ctx context.Context) error {
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		return fmt.Errorf("the plan is not empty: %+v", changes)
	}
	return nil
}

// Fingerprints tells, per host, what an apply might have touched.
func (f *Flow) Fingerprints(ctx context.Context, hosts ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, n := range hosts {
		h, err := f.Lab.Host(n)
		if err != nil {
			return nil, err
		}
		if out[n], err = fingerprint(ctx, h); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Grow boots a server and adds it to the pool: the plan changes the pool by that
// host and nothing else, and no other host is touched by the apply.
func (f *Flow) Grow(ctx context.Context, name string) error {
	if _, err := f.Lab.Add(ctx, name); err != nil {
		return err
	}
	return f.changePool(ctx, append(slices.Clone(f.Workers), name), name)
}

// Shrink removes a worker from the pool. Its pods must be elsewhere and ready,
// its Node gone and its host clean afterwards.
func (f *Flow) Shrink(ctx context.Context, name string) error {
	left := slices.DeleteFunc(slices.Clone(f.Workers), func(n string) bool { return n == name })
	if err := f.changePool(ctx, left, name); err != nil {
		return err
	}
	h, err := f.Lab.Host(name)
	if err != nil {
		return err
	}
	if err := leftovers(ctx, h); err != nil {
		return err
	}
	return Eventually(ctx, 30*time.Second, func(ctx context.Context) error { return f.AppReady(ctx, 4) })
}

// AppReady checks that so many pods of the application are ready, on nodes of
// the cluster.
func (f *Flow) AppReady(ctx context.Context, want int) error {
	pods, err := f.Cluster.Pods(ctx)
	if err != nil {
		return err
	}
	ready := 0
	for _, p := range pods {
		if p.Ready && slices.Contains(f.Nodes(), p.Node) {
			ready++
		}
	}
	if ready != want || len(pods) != want {
		return fmt.Errorf("%d of %d pods are ready, want %d: %+v", ready, len(pods), want, pods)
	}
	return nil
}

// changePool applies another set of workers that differs by one host.
func (f *Flow) changePool(ctx context.Context, workers []string, changed string) error {
	others := slices.DeleteFunc(f.Nodes(), func(n string) bool { return n == changed })
	before, err := f.Fingerprints(ctx, others...)
	if err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, workers); err != nil {
		return err
	}
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	if err := onlyHost(changes, changed); err != nil {
		return err
	}
	f.Workers = workers
	if err := f.Apply(ctx); err != nil {
		return err
	}
	after, err := f.Fingerprints(ctx, others...)
	if err != nil {
		return err
	}
	for n := range before {
		if before[n] != after[n] {
			return fmt.Errorf("host %s was touched though only %s changed:\nbefore\n%s\nafter\n%s", n, changed, before[n], after[n])
		}
	}
	return nil
}

// onlyHost checks that a plan updates the pool in place by one host.
func onlyHost(changes []ResourceChange, host string) error {
	if len(changes) != 1 || changes[0].Address != pool || !slices.Equal(changes[0].Actions, []string{"update"}) {
		return fmt.Errorf("the plan should update %s alone, in place: %+v", pool, changes)
	}
	before, _ := changes[0].Before["hosts"].(map[string]any)
	after, _ := changes[0].After["hosts"].(map[string]any)
	for name := range union(before, after) {
		_, was := before[name]
		_, is := after[name]
		if was != is && name != host {
			return fmt.Errorf("the plan changes host %s; only %s should", name, host)
		}
	}
	if _, was := before[host]; was == mapHas(after, host) {
		return fmt.Errorf("the plan neither adds nor removes host %s: before %v, after %v", host, before, after)
	}
	return nil
}

func mapHas(m map[string]any, key string) bool { _, ok := m[key]; return ok }

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}

// Down destroys the cluster and proves every server clean.
func (f *Flow) Down(ctx context.Context) error {
	if err := f.Workspace.Destroy(ctx); err != nil {
		return err
	}
	return f.Clean(ctx)
}

// Clean checks that nothing of the cluster is left on any server of the lab that
// is switched on.
func (f *Flow) Clean(ctx context.Context) error {
	var errs []error
	for _, h := range f.Lab.Hosts {
		if h.Running() {
			errs = append(errs, leftovers(ctx, h))
		}
	}
	return errors.Join(errs...)
}

// Reopen finds the flow of an earlier run.
func Reopen(tools Tools, name, dir string, show io.Writer) (*Flow, error) {
	l, err := lab.Open(name)
	if err != nil {
		return nil, err
	}
	return &Flow{Lab: l, Workspace: OpenWorkspace(tools, dir, show), tools: tools, show: show}, nil
}
