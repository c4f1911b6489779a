package workers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// operation is one on a pool whose hosts are models, through master m1.
func operation(t *testing.T, api *fake.Clientset, models map[string]*hosttest.Model, c Change, told *[]string) *Operation {
	t.Helper()
	var l machine.Lifecycle
	l.Now, l.NodeTimeout, l.DrainTimeout = time.Now, 50*time.Millisecond, time.Second
	l.Events = func(e step.Event) {
		if e.State == step.Done {
			*told = append(*told, e.Step)
		}
	}
	l.Connect = func(_ context.Context, h spec.Host) (host.Host, error) {
		if m := models[h.Name]; m != nil {
			return m.Login()
		}
		return nil, errors.New("no route to host")
	}
	masters := fleet.Connect(t.Context(), l.Config.Config, []spec.Host{{Name: "m1", Address: "192.0.2.1"}})
	o := &Operation{
		Config: Config{Lifecycle: l, AbandonUnreachable: c.Destroy}, Change: c, api: api,
		access: &access.Access{Config: l.Config, Masters: masters, Source: "m1"},
	}
	for _, name := range c.Touch {
		o.Want.Hosts = append(o.Want.Hosts, spec.Host{Name: name, Address: "new-" + name})
	}
	if err := o.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func workerNode(status corev1.ConditionStatus, ip string, declaredAt string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}}
	if ip != "" {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}
	}
	if declaredAt != "" {
		n.Annotations = map[string]string{nodes.HostAnnotation: nodes.DeclarationOf(spec.Node{Host: spec.Host{Address: declaredAt}})}
	}
	return n
}

// TestHowAHostLeaves: which steps are gone through, whether its Node goes with it, and
// what is told of a host that could not be wiped.
func TestHowAHostLeaves(t *testing.T) {
	const (
		cordon, drained, revoke, gone = "cordon", machine.DrainStep, "revoke its certificates", "delete the node"
		here, missed, reports, other  = "192.0.2.2", corev1.ConditionUnknown, corev1.ConditionTrue, "192.0.2.9"
	)
	for name, tc := range map[string]struct {
		reached, destroy bool
		node             *corev1.Node
		apiFails         bool

		state    fleet.State
		steps    []string // of the removal
		stays    bool     // the Node, as it was
		warnings string   // what the only one says
		says     string   // of the failure
	}{
		"it is reached":                      {reached: true, node: workerNode(reports, here, ""), state: fleet.Gone, steps: []string{cordon, cordon, drained, revoke, gone}},
		"it is dead":                         {node: workerNode(missed, here, ""), state: fleet.Gone, steps: []string{revoke, gone}, warnings: machine.RevokedWorker},
		"it may live":                        {node: workerNode(reports, here, ""), state: fleet.Pending, stays: true, says: "it is not gone"},
		"its pool is given up":               {destroy: true, node: workerNode(reports, here, ""), state: fleet.Gone, steps: []string{cordon, drained, revoke, gone}, warnings: machine.RevokedWorker},
		"another has its name":               {reached: true, node: workerNode(reports, other, ""), state: fleet.Gone, stays: true},
		"another has it, and it is dead":     {node: workerNode(reports, other, ""), state: fleet.Gone, stays: true, warnings: machine.Succeeded},
		"it answers at another address":      {reached: true, node: workerNode(reports, here, other), state: fleet.Gone, steps: []string{cordon, cordon, drained, revoke, gone}},
		"it was taken over, address and all": {node: workerNode(missed, here, other), state: fleet.Gone, stays: true, warnings: machine.Succeeded},
		"nobody knows whose name it is":      {reached: true, apiFails: true, node: workerNode(reports, here, ""), state: fleet.Pending, stays: true, says: "see whose node w1 is"},
	} {
		t.Run(name, func(t *testing.T) {
			api := fake.NewSimpleClientset(tc.node)
			failing := tc.apiFails
			api.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
				return failing, nil, errors.New("broken")
			})
			models := map[string]*hosttest.Model{"m1": hosttest.NewModel("m1", "192.0.2.1")}
			if tc.reached {
				models["w1"] = hosttest.NewModel("w1", here)
			}
			var told []string
			o := operation(t, api, models, Change{Leaving: []spec.Host{{Name: "w1", Address: here}}, Destroy: tc.destroy}, &told)
			if err := o.RemoveOthers(t.Context()); err != nil {
				t.Fatal(err)
			}
			m := o.leaving.Members["w1"]
			if m.Status.State != tc.state || (m.Status.Err != nil && tc.says == "" && tc.state != fleet.Gone) || tc.says != "" && (m.Status.Err == nil || !strings.Contains(m.Status.Err.Error(), tc.says)) {
				t.Errorf("%s: %v", m.Status.State, m.Status.Err)
			}
			steps := slices.DeleteFunc(told, func(s string) bool { return !slices.Contains([]string{cordon, drained, revoke, gone}, s) })
			if !slices.Equal(steps, tc.steps) {
				t.Errorf("steps %q, want %q", steps, tc.steps)
			}
			failing = false
			n, err := api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{})
			if tc.stays && (err != nil || n.Spec.Unschedulable) || !tc.stays && !apierrors.IsNotFound(err) {
				t.Errorf("its Node: %+v, %v", n, err)
			}
			warnings := o.leaving.Report().Warnings
			if len(warnings) > 1 || (len(warnings) == 1) != (tc.warnings != "") || tc.warnings != "" && !strings.Contains(warnings[0], tc.warnings) {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// TestANameMovesOnceItIsFree, and until then the report is of those that move.
func TestANameMovesOnceItIsFree(t *testing.T) {
	for state, free := range map[fleet.State]bool{fleet.Gone: true, fleet.Pending: false, fleet.Ready: false, fleet.Unknown: false} {
		var told []string
		o := operation(t, fake.NewSimpleClientset(), nil, Change{Touch: []string{"w1"}, Leaving: []spec.Host{{Name: "w1", Address: "old"}, {Name: "w2", Address: "other"}}}, &told)
		o.leaving.Members["w1"].Status = fleet.Status{State: state, Err: errors.New("it does not go")}
		err := o.CheckMoved(t.Context())
		if (err == nil) != free || err != nil && !strings.Contains(err.Error(), "w1 cannot move to another server before it has left the old one: it does not go") {
			t.Errorf("%s: %v", state, err)
		}
		if r := o.Report(); !free && (len(r.Hosts) != 1 || r.Hosts["w1"].State != state) {
			t.Errorf("%s: the report is of %v", state, r.Hosts)
		}
	}
}

func TestWhatIsReportedOfAPool(t *testing.T) {
	if r := (&Operation{}).Report(); r.Hosts != nil || r.ClusterID != "" {
		t.Errorf("before anything: %+v", r)
	}
	(&Operation{}).Close()
	ca, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("no master")
	for name, tc := range map[string]struct {
		noAccess error
		ended    bool
		hosts    string
		id       string
	}{
		"in between":           {hosts: "w1"},
		"at its end":           {ended: true, hosts: "w1 w2", id: "id"},
		"of a pool given up":   {noAccess: away, hosts: "w2"},
		"given up, at its end": {noAccess: away, ended: true, hosts: "w2"},
	} {
		var told []string
		o := operation(t, fake.NewSimpleClientset(), nil, Change{Touch: []string{"w1"}, Leaving: []spec.Host{{Name: "w2"}}}, &told)
		o.joining = fleet.Connect(t.Context(), o.Config.Lifecycle.Config.Config, []spec.Host{{Name: "w1"}})
		o.Connection.ClusterID, o.access.Trust.CA, o.noAccess = "id", ca, tc.noAccess
		if tc.ended {
			if err := o.End(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r := o.Report()
		var hosts []string
		for h := range r.Hosts {
			hosts = append(hosts, h)
		}
		slices.Sort(hosts)
		if strings.Join(hosts, " ") != tc.hosts || r.ClusterID != tc.id || (r.CAFingerprint != "") != (tc.id != "") {
			t.Errorf("%s: %v of cluster %q, fingerprint %q", name, hosts, r.ClusterID, r.CAFingerprint)
		}
	}
}

// TestNothingIsDoneWithoutAMaster, but that a pool is given up with its cluster.
func TestNothingIsDoneWithoutAMaster(t *testing.T) {
	for name, tc := range map[string]struct {
		destroy, abandon, goesOn bool
	}{"an update": {abandon: true}, "a destroy": {destroy: true}, "a destroy that abandons": {destroy: true, abandon: true, goesOn: true}} {
		var told []string
		o := operation(t, fake.NewSimpleClientset(), nil, Change{Destroy: tc.destroy}, &told)
		o.AbandonUnreachable, o.Connection.Masters = tc.abandon, []spec.Host{{Name: "m1", Address: "192.0.2.1"}}
		if err := o.Reach(t.Context()); (err == nil) != tc.goesOn || Reached(o) {
			t.Errorf("%s: %v, reached %v", name, err, Reached(o))
		}
	}
}

// TestWhoHandsTheBundleOn: nobody, until a master is asked; and no longer than it can.
func TestWhoHandsTheBundleOn(t *testing.T) {
	var nobody *handOn
	nobody.begin()
	nobody.close()
	if nobody.source() != nil {
		t.Error("nobody is a source")
	}
	var told []step.Event
	h := newHandOn(t.Context(), nil, &fleet.Member{Spec: spec.Host{Name: "m1", Address: "192.0.2.1"}}, func(e step.Event) { told = append(told, e) })
	h.start.Do(func() { close(h.ended) }) // its part is not this test's
	if h.source() == nil || h.Address() == "" {
		t.Errorf("a master is no source: %q", h.Address())
	}
	h.end(errors.New("it cannot"))
	if h.Address() != "" || len(told) != 1 || told[0].State != step.Failed {
		t.Errorf("it still is: %q, told %v", h.Address(), told)
	}
	h.close()
}
