package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/join/jointest"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// world is a cluster of masters: models of their servers, of their etcd and of the API.
type world struct {
	servers map[string]*hosttest.Model
	dead    map[string]bool // servers that nobody logs in to
	etcd    *jointest.Etcd
	api     *fake.Clientset
	steps   []string // that were done, in their order
}

// newWorld has masters that run and are Ready.
func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	w := &world{servers: map[string]*hosttest.Model{}, dead: map[string]bool{}, etcd: &jointest.Etcd{}, api: fake.NewSimpleClientset()}
	for i, name := range names {
		m := hosttest.NewModel(name, fmt.Sprintf("192.0.2.%d", i+1))
		if _, err := m.Run(t.Context(), host.Shell("make-dirs", "", "700", config.ConfigDir)); err != nil {
			t.Fatal(err)
		}
		m.SetFile(install.IdentityFile, identityOf("id", name))
		for _, c := range config.MasterComponents() {
			m.SetFile(path.Join(config.UnitDir, c.Unit()), "unit")
			if _, err := m.Run(t.Context(), host.Shell("start-units", "", "", c.Unit())); err != nil {
				t.Fatal(err)
			}
		}
		w.servers[name] = m
		w.etcd.Start(name, install.PeerURL(w.host(name)))
		if err := m.Register(t.Context(), w.api, name); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) host(name string) spec.Host {
	return spec.Host{Name: name, Address: w.servers[name].Address}
}

// change gives a master's Node what do says.
func (w *world) change(t *testing.T, name string, do func(*corev1.Node)) {
	t.Helper()
	n, err := w.api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err == nil {
		do(n)
		_, err = w.api.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// operation is one by which a master leaves; the others stay.
func (w *world) operation(t *testing.T, leaving string) *Operation {
	t.Helper()
	var c access.Config
	c.Now = time.Now
	c.Connect = func(_ context.Context, h spec.Host) (host.Host, error) {
		if w.dead[h.Name] {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
		}
		return w.servers[h.Name].Login()
	}
	c.Events = func(e step.Event) {
		if e.State == step.Done {
			w.steps = append(w.steps, e.Step)
		}
	}
	c.API = func(client.Options) (kubernetes.Interface, error) { return w.api, nil }
	c.Store = func(endpoint string, _ *pki.Authority, _ join.Dial, _ time.Time) (join.Store, error) {
		at, err := url.Parse(endpoint)
		if err != nil {
			return nil, err
		}
		for _, m := range w.servers {
			if m.Address == at.Hostname() {
				return w.etcd.Client(m.Address, m.Through), nil
			}
		}
		return nil, fmt.Errorf("no server has the address %s", at.Hostname())
	}
	trust, err := install.NewAuthorities("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := &Operation{Config: Config{Lifecycle: machine.Lifecycle{Config: c, NodeTimeout: 50 * time.Millisecond, DrainTimeout: time.Second}}, Want: spec.Cluster{Name: "demo", ID: "id"}}
	o.Change.Leaving = []spec.Host{w.host(leaving)}
	for name := range w.servers {
		if name != leaving {
			o.Want.Masters = append(o.Want.Masters, w.host(name))
		}
	}
	if err := o.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	o.access = &access.Access{Config: c, Masters: o.masters, Trust: trust, Source: o.masters.Order[0], Serving: o.masters.Order, Members: o.masters.Order}
	if err := o.OrderRemovals(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// What a removal consists of, in this order.
const (
	drained  = "cordon, drain"
	missed   = machine.LostStep
	unserved = "stop serving"
	left     = "leave the store"
	revoked  = "revoke its certificates"
	wiped    = "stop processes, remove units, remove files"
	deleted  = "delete the node"
)

// TestHowAMasterLeaves: it is drained while it serves, stops serving while its etcd works,
// leaves etcd, and is wiped once its certificates are refused; its Node goes last. One that
// is not reached leaves when it is gone by the word of the other masters or of the cluster.
// Of one whose name another server has, the Node and what the name was given are not touched.
func TestHowAMasterLeaves(t *testing.T) {
	for name, tc := range map[string]struct {
		// dead: it is not reached; found: another master finds a sign of life of it. missing:
		// its Node is not Ready. taken: its Node is another server's.
		dead, found, missing, taken bool
		force                       bool
		broken                      string // whose etcd answers nobody
		fails                       string // of the API
		steps                       []string
		warns, says                 string
	}{
		"it is reached":                    {steps: []string{drained, unserved, left, revoked, wiped, deleted}},
		"its name is another's":            {taken: true, steps: []string{unserved, left, wiped}},
		"the others do not find it":        {dead: true, steps: []string{missed, left, revoked, deleted}, warns: machine.RevokedMaster},
		"the cluster misses it":            {dead: true, found: true, missing: true, steps: []string{missed, left, revoked, deleted}, warns: machine.RevokedMaster},
		"another finds it, and it reports": {dead: true, found: true, says: "still reports to the cluster"},
		"it is not found, its name taken":  {dead: true, taken: true, steps: []string{missed, left}, warns: machine.Succeeded},
		"it is found, its name taken":      {dead: true, found: true, taken: true, steps: []string{left}, warns: machine.Succeeded},
		"the others are no quorum":         {broken: "m2", says: "cannot leave"},
		"its own etcd is broken":           {broken: "m3", steps: []string{drained, unserved, left, revoked, wiped, deleted}},
		"its pods do not move":             {fails: "pods", steps: []string{"cordon", "uncordon"}, says: "drain"},
		"its pods do not move, by force":   {fails: "pods", force: true, steps: []string{"cordon", unserved, left, revoked, wiped, deleted}, warns: "with pods on it"},
		"whose Node it is is not told":     {fails: "nodes", says: "see whose node m3 is"},
		"its certificates stay":            {fails: "configmaps", steps: []string{drained, unserved, left}, says: "have the certificates of node m3 refused"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "m1", "m2", "m3")
			w.dead["m3"] = tc.dead
			for _, witness := range []string{"m1", "m2"} {
				w.servers[witness].OnDial = func(address string) error {
					if strings.HasPrefix(address, w.servers["m3"].Address) && !tc.found {
						return errors.New("no route to host")
					}
					return nil
				}
			}
			w.change(t, "m3", func(n *corev1.Node) {
				if tc.missing {
					n.Status.Conditions[0].Status = corev1.ConditionUnknown
				}
				if tc.taken {
					n.Status.Addresses[0].Address = "192.0.2.9"
				}
			})
			if tc.broken != "" {
				w.etcd.Break(install.PeerURL(w.host(tc.broken)))
			}
			if tc.fails != "" {
				w.api.PrependReactor("*", tc.fails, func(a clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, errors.New("no space is left in etcd")
				})
			}
			o := w.operation(t, "m3")
			o.Change.Force = tc.force
			for _, remove := range []func(context.Context) error{o.RemoveFirst, o.RemoveLast} {
				if err := remove(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			want := strings.Join(tc.steps, ", ")
			got := strings.Join(slices.DeleteFunc(w.steps, func(s string) bool { return s == "clean the kernel" }), ", ")
			if got != want {
				t.Errorf("done is %q,\nwant    %q", got, want)
			}
			was := func(s string) bool { return strings.Contains(want, s) }
			s := o.leaving.Members["m3"].Status
			if (s.State == fleet.Gone) != (tc.says == "") || (s.Err != nil) && tc.says != "" && !strings.Contains(s.Err.Error(), tc.says) {
				t.Errorf("it is %s: %v", s.State, s.Err)
			}
			if warnings := strings.Join(o.leaving.Report().Warnings, "\n"); (warnings == "") != (tc.warns == "") || !strings.Contains(warnings, tc.warns) {
				t.Errorf("warned is %q", warnings)
			}
			if got := slices.Contains(w.etcd.Names(), "m3"); got == was(left) {
				t.Errorf("a member of etcd: %t", got)
			}
			if bare := len(w.servers["m3"].Running())+len(w.servers["m3"].Paths()) == 0; bare != was(wiped) {
				t.Errorf("bare: %t; running are %v, files %v", bare, w.servers["m3"].Running(), w.servers["m3"].Paths())
			}
			w.api.ReactionChain = w.api.ReactionChain[len(w.api.ReactionChain)-1:] // of the tracker alone
			n, err := w.api.CoreV1().Nodes().Get(t.Context(), "m3", metav1.GetOptions{})
			if (err != nil) != was(deleted) {
				t.Errorf("its Node: %v", err)
			}
			if err == nil && n.Spec.Unschedulable != (was(drained) || was("cordon, "+unserved)) {
				t.Errorf("its Node is cordoned: %t", n.Spec.Unschedulable)
			}
			if refused, err := nodes.ReadRevoked(t.Context(), w.api); err != nil || refused["m3"].IsZero() == was(revoked) {
				t.Errorf("refused are the certificates of %v, %v", refused, err)
			}
		})
	}
}

// TestTheOtherMastersGoOn: whatever becomes of the one that leaves.
func TestTheOtherMastersGoOn(t *testing.T) {
	for _, dead := range []bool{false, true} {
		w := newWorld(t, "m1", "m2", "m3")
		w.dead["m3"] = dead
		before := w.servers["m1"].Running()
		o := w.operation(t, "m3")
		if err := errors.Join(o.RemoveFirst(t.Context()), o.RemoveLast(t.Context())); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"m1", "m2"} {
			if got := w.servers[name].Running(); !slices.Equal(got, before) {
				t.Errorf("dead %t: on %s run %v", dead, name, got)
			}
			if n, err := w.api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{}); err != nil || n.Spec.Unschedulable {
				t.Errorf("dead %t: Node %s: %v, %v", dead, name, n, err)
			}
		}
	}
}
