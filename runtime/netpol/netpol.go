package netpol

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process/readiness"
)

const (
	// verifyPeriod is how often the kernel is asked whether it still has the table
	// (another tool may have flushed the ruleset).
	verifyPeriod = 10 * time.Second
	// retryPeriod is the wait after the kernel refused a transaction.
	retryPeriod = time.Second
	// settle collects the changes that come together with the first.
	settle = 2 * time.Millisecond
)

// Enforcer keeps the node's table as the NetworkPolicies want it.
type Enforcer struct {
	node         string
	api          kubernetes.Interface
	open         func() (kernelTable, error)
	verifyPeriod time.Duration
	log          *slog.Logger

	policies cache.SharedIndexInformer

	mu    sync.Mutex
	dirty dirty
	wake  chan struct{}

	*readiness.Status
}

// kernelTable is the node's table; Table is the kernel's.
type kernelTable interface {
	Exists() (bool, error)
	Replace(Ruleset) error
	Apply(Change) error
	Clear() error
	Close() error
}

// dirty are the names of what changed.
type dirty struct {
	policies, pods map[types.NamespacedName]struct{}
	namespaces     map[string]struct{}
}

func newDirty() dirty {
	return dirty{policies: map[types.NamespacedName]struct{}{}, pods: map[types.NamespacedName]struct{}{}, namespaces: map[string]struct{}{}}
}

// New returns the enforcer of a node. It touches neither the API nor the kernel.
func New(node string, api kubernetes.Interface, log *slog.Logger) *Enforcer {
	return &Enforcer{
		node: node, api: api, log: log, verifyPeriod: verifyPeriod,
		open:  func() (kernelTable, error) { return OpenTable() },
		dirty: newDirty(), wake: make(chan struct{}, 1),
		Status: readiness.NotReady("the NetworkPolicies are not known yet"),
	}
}

// Run keeps the table until ctx is done. The rules stay in force afterwards, and as they
// are for as long as not everything is known: before the API has answered, a table of
// what is known would be one without policies.
func (e *Enforcer) Run(ctx context.Context) error {
	table, err := e.open()
	if err != nil {
		return err
	}
	defer table.Close() // the process ends
	if err := e.watchPolicies(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for ctx.Err() == nil {
		if len(e.policies.GetIndexer().ListKeys()) == 0 {
			e.idle(ctx, table)
		} else if err := e.enforce(ctx, table); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// idle waits for a policy, in a cluster that has none. That is said by an empty table,
// without which no pod of this node is attached.
func (e *Enforcer) idle(ctx context.Context, table kernelTable) {
	e.takeDirty() // there is nothing that it concerns
	verify := time.NewTicker(e.verifyPeriod)
	defer verify.Stop()
	for cleared := false; len(e.policies.GetIndexer().ListKeys()) == 0; {
		if !cleared {
			if err := table.Clear(); err != nil {
				e.fail("cannot write that there are no NetworkPolicies", err)
				if !sleep(ctx, retryPeriod) {
					return
				}
				continue
			}
			cleared = true
			e.Set(nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-verify.C:
			cleared = e.exists(table)
		case <-e.wake:
		}
	}
}

// exists says whether the kernel still has the table.
func (e *Enforcer) exists(table kernelTable) bool {
	ok, err := table.Exists()
	if err != nil || !ok {
		e.log.Warn("the table is gone from the kernel; writing it again", "table", config.PolicyTable, "error", err)
	}
	return err == nil && ok
}

// enforce keeps the table for as long as there is a policy. Pods and namespaces are
// followed meanwhile.
func (e *Enforcer) enforce(ctx context.Context, table kernelTable) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	world, err := e.watchWorld(ctx)
	if err != nil {
		return err
	}
	defer world.stop()
	defer cancel() // before it: its watches end with it
	for _, key := range e.policies.GetIndexer().ListKeys() {
		if name, err := cache.ParseObjectName(key); err == nil {
			e.mark(func(d dirty) { d.policies[types.NamespacedName(name)] = struct{}{} })
		}
	}
	state, whole := NewState(e.node), true
	verify := time.NewTicker(e.verifyPeriod)
	defer verify.Stop()
	for {
		if err := e.sync(table, state, world, whole); err != nil {
			e.fail("cannot write the rules of NetworkPolicies; trying again with the whole table", err)
			if whole = true; !sleep(ctx, retryPeriod) {
				return nil
			}
			continue
		}
		whole = false
		e.Set(nil)
		if len(e.policies.GetIndexer().ListKeys()) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-verify.C:
			whole = !e.exists(table)
		case <-e.wake:
			if !sleep(ctx, settle) {
				return nil
			}
		}
	}
}

// sync takes in what changed and writes the difference in one transaction; whole writes
// the whole table.
func (e *Enforcer) sync(table kernelTable, state *State, world *world, whole bool) error {
	d := e.takeDirty()
	for name := range d.namespaces {
		ns := get[*corev1.Namespace](world.namespaces, name)
		if ns == nil {
			state.SetNamespace(name, nil, false)
			continue
		}
		state.SetNamespace(name, ns.Labels, true)
	}
	for name := range d.pods {
		state.SetPod(name, get[*corev1.Pod](world.pods, name.String()))
	}
	for name := range d.policies {
		state.SetPolicy(name, e.compile(name))
	}
	if whole {
		if err := table.Replace(state.Ruleset()); err != nil {
			return err
		}
	} else if change := state.Change(); !change.empty() {
		if err := table.Apply(change); err != nil {
			return err
		}
	}
	state.Applied()
	return nil
}

// compile reads a policy; nil: it is gone. One that cannot be read, which the API does
// not let in, isolates all that it may have meant.
func (e *Enforcer) compile(name types.NamespacedName) *Policy {
	np := get[*networkingv1.NetworkPolicy](e.policies, name.String())
	if np == nil {
		return nil
	}
	p, err := Compile(np)
	if err != nil {
		e.log.Error("a NetworkPolicy cannot be read: the pods of its namespace are isolated", "policy", name.String(), "error", err)
		p = isolation(name.Namespace)
	}
	return &p
}

func (e *Enforcer) fail(what string, err error) {
	e.log.Error(what, "error", err)
	e.Set(fmt.Errorf("%s: %w", what, err))
}

func (e *Enforcer) mark(note func(dirty)) {
	e.mu.Lock()
	note(e.dirty)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Enforcer) takeDirty() dirty {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.dirty
	e.dirty = newDirty()
	return out
}

// watchPolicies follows the policies, and returns when all that exist are known.
func (e *Enforcer) watchPolicies(ctx context.Context) error {
	factory := client.Informers(e.api)
	e.policies = factory.Networking().V1().NetworkPolicies().Informer()
	synced := client.WatchAll(e.policies, func(np *networkingv1.NetworkPolicy) {
		e.mark(func(d dirty) { d.policies[types.NamespacedName{Namespace: np.Namespace, Name: np.Name}] = struct{}{} })
	})
	factory.Start(ctx.Done())
	return client.WaitForSync(ctx, synced)
}

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
