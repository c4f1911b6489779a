package machine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// lifecycle works on models and keeps what it tells.
func lifecycle(models map[string]*hosttest.Model, told *[]string) Lifecycle {
	var l Lifecycle
	l.Now, l.NodeTimeout, l.DrainTimeout = time.Now, 50*time.Millisecond, time.Second
	l.Events = func(e step.Event) {
		if told != nil {
			*told = append(*told, e.Step+" "+string(e.State))
		}
	}
	l.Connect = func(_ context.Context, h spec.Host) (host.Host, error) {
		if m := models[h.Name]; m != nil {
			return m.Login()
		}
		return nil, errors.New("no route to host")
	}
	return l
}

func ready(name string, status corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}},
	}}
}

// A drain that fails leaves the node as it was, unless the node goes anyway.
func TestADrainEndsOrIsUndone(t *testing.T) {
	failed := errors.New("no pods for you")
	for name, tc := range map[string]struct {
		fails, force, stopped, missing bool

		cordoned, ok bool
		warnings     int
		told         []string
	}{
		"it ends":             {cordoned: true, ok: true, told: []string{"cordon began", "cordon done", "drain began", "drain done"}},
		"there is no Node":    {missing: true, fails: true, ok: true, told: []string{"cordon began", "cordon done"}},
		"it fails":            {fails: true, told: []string{"cordon began", "cordon done", "drain began", "drain failed", "uncordon began", "uncordon done"}},
		"it fails, by force":  {fails: true, force: true, cordoned: true, ok: true, warnings: 1, told: []string{"cordon began", "cordon done", "drain began", "drain failed"}},
		"the run was stopped": {fails: true, force: true, stopped: true, told: []string{"cordon began", "cordon done", "drain began", "drain failed", "uncordon began", "uncordon done"}},
	} {
		api := fake.NewSimpleClientset()
		if !tc.missing {
			api = fake.NewSimpleClientset(ready("w1", corev1.ConditionTrue))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if tc.fails {
			api.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				if tc.stopped {
					cancel()
				}
				return true, nil, failed
			})
		}
		var told []string
		f := &fleet.Fleet{}
		r := Removal{Lifecycle: lifecycle(nil, &told), API: api, Leaving: f, Force: tc.force}
		err := r.Drain(ctx, &fleet.Member{Spec: spec.Host{Name: "w1", Address: "192.0.2.1"}})
		if (err == nil) != tc.ok || len(f.Report().Warnings) != tc.warnings || !slices.Equal(told, tc.told) {
			t.Errorf("%s: %v, warnings %q, told %q", name, err, f.Report().Warnings, told)
		}
		var at *step.Error
		if err != nil && (!errors.As(err, &at) || at.Step != DrainStep || !strings.Contains(err.Error(), failed.Error())) {
			t.Errorf("%s: the failure is %v", name, err)
		}
		if tc.missing {
			continue
		}
		n, err := api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ours := n.Annotations[drain.CordonAnnotation]; n.Spec.Unschedulable != tc.cordoned || ours != tc.cordoned {
			t.Errorf("%s: cordoned %t, by us %t", name, n.Spec.Unschedulable, ours)
		}
	}
}

func TestAHostIsLostWhenTheClusterMissesItToo(t *testing.T) {
	away, here := &fleet.Member{Spec: spec.Host{Name: "w1"}, Status: fleet.Status{Err: errors.New("no route")}}, &fleet.Member{Host: hosttest.NewModel("w1", "192.0.2.1")}
	for name, tc := range map[string]struct {
		m    *fleet.Member
		node *corev1.Node
		says string // empty: it is lost
	}{
		"it is reached":      {here, ready("w1", corev1.ConditionUnknown), "can be reached"},
		"it reports":         {away, ready("w1", corev1.ConditionTrue), "still reports"},
		"it reports trouble": {away, ready("w1", corev1.ConditionFalse), "still reports"},
		"it is missed":       {away, ready("w1", corev1.ConditionUnknown), ""},
		"it has no Node":     {away, ready("w2", corev1.ConditionTrue), ""},
	} {
		err := lifecycle(nil, nil).Lost(t.Context(), tc.m, fake.NewSimpleClientset(tc.node))
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
		if tc.m == away && err != nil && !errors.Is(err, away.Status.Err) {
			t.Errorf("%s: why it is not reached is not told: %v", name, err)
		}
	}
}

func TestAMasterIsDeadToTheOthersWhenNoneFindsASignOfLife(t *testing.T) {
	for name, tc := range map[string]struct {
		witnesses map[string]func(address string) error // what each finds
		cut       string
		want      bool
	}{
		"nobody looks":          {map[string]func(string) error{}, "", false},
		"nobody finds it":       {map[string]func(string) error{"m1": finds("No route to host", ""), "m2": finds("no answer", "")}, "", true},
		"one finds a port":      {map[string]func(string) error{"m1": finds("No route to host", ""), "m2": finds("No route to host", ":10250")}, "", false},
		"one is refused":        {map[string]func(string) error{"m1": finds("Connection refused", ""), "m2": finds("No route to host", "")}, "", false},
		"one may not look":      {map[string]func(string) error{"m1": finds("administratively prohibited", "")}, "", false},
		"the witness is lost":   {map[string]func(string) error{"m1": finds("No route to host", "")}, "m1", false},
		"another one is not":    {map[string]func(string) error{"m1": finds("No route to host", ""), "m2": finds("No route to host", "")}, "m1", true},
		"it is itself a master": {map[string]func(string) error{"m3": finds("No route to host", "")}, "", false},
	} {
		models := map[string]*hosttest.Model{}
		var masters []spec.Host
		for name, found := range tc.witnesses {
			models[name] = hosttest.NewModel(name, "of-"+name)
			models[name].OnDial = found
			masters = append(masters, spec.Host{Name: name, Address: "of-" + name})
		}
		l := lifecycle(models, nil)
		f := fleet.Connect(t.Context(), l.Config.Config, append(masters, spec.Host{Name: "away", Address: "of-away"}))
		if tc.cut != "" {
			models[tc.cut].PowerCut()
		}
		if got := DeadTo(t.Context(), f, &fleet.Member{Spec: spec.Host{Name: "m3", Address: "of-m3"}}); got != tc.want {
			t.Errorf("%s: dead %t", name, got)
		}
	}
}

// finds fails each dial for a reason, but for a port.
func finds(reason, port string) func(string) error {
	return func(address string) error {
		if port != "" && strings.HasSuffix(address, port) {
			return nil
		}
		return errors.New("ssh: rejected: " + reason)
	}
}
