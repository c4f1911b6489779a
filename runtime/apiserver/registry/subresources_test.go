package registry

import (
	"net/url"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func TestDisrupt(t *testing.T) {
	for name, tt := range map[string]struct {
		generation, observed int64
		allowed              int32
		disrupted            int
		want                 string
	}{
		"consent":            {2, 2, 1, 0, ""},
		"newer status":       {2, 3, 1, 0, ""},
		"not yet counted":    {2, 1, 1, 0, "is still being processed"},
		"nothing allowed":    {2, 2, 0, 0, "needs 5 healthy pods and has 4 currently"},
		"many under way":     {2, 2, 1, maxDisrupted, ""},
		"too many at a time": {2, 2, 1, maxDisrupted + 1, "too many evictions not yet confirmed"},
	} {
		b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b", Generation: tt.generation}, Status: policyv1.PodDisruptionBudgetStatus{
			ObservedGeneration: tt.observed, DisruptionsAllowed: tt.allowed, DesiredHealthy: 5, CurrentHealthy: 4,
		}}
		for range tt.disrupted {
			if b.Status.DisruptedPods == nil {
				b.Status.DisruptedPods = map[string]metav1.Time{}
			}
			b.Status.DisruptedPods[strings.Repeat("x", len(b.Status.DisruptedPods)+1)] = metav1.Time{}
		}
		err := disrupt(b, "p")
		if tt.want != "" {
			if status, is := err.(errors.APIStatus); !is || !errors.IsTooManyRequests(err) || !strings.Contains(status.Status().Details.Causes[0].Message, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if _, counted := b.Status.DisruptedPods["p"]; err != nil || !counted || b.Status.DisruptionsAllowed != tt.allowed-1 {
			t.Errorf("%s: %v, %+v", name, err, b.Status)
		}
	}
}

func TestWhoMayGoUnasked(t *testing.T) {
	always := policyv1.AlwaysAllow
	healthy := policyv1.IfHealthyBudget
	for name, tt := range map[string]struct {
		policy           *policyv1.UnhealthyPodEvictionPolicyType
		current, desired int32
		want             bool
	}{
		"always": {&always, 0, 5, true}, "enough without it": {&healthy, 5, 5, true}, "by default too": {nil, 6, 5, true},
		"too few": {nil, 4, 5, false}, "none are wanted": {nil, 4, 0, false},
	} {
		b := &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{UnhealthyPodEvictionPolicy: tt.policy}, Status: policyv1.PodDisruptionBudgetStatus{CurrentHealthy: tt.current, DesiredHealthy: tt.desired}}
		if unreadyMayGo(b) != tt.want {
			t.Errorf("%s: %t", name, !tt.want)
		}
	}
	now := metav1.Now()
	for phase, want := range map[corev1.PodPhase]bool{corev1.PodPending: true, corev1.PodSucceeded: true, corev1.PodFailed: true, corev1.PodRunning: false, corev1.PodUnknown: false} {
		if disruptsNothing(&corev1.Pod{Status: corev1.PodStatus{Phase: phase}}) != want {
			t.Errorf("%s: %t", phase, !want)
		}
	}
	if !disruptsNothing(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}) {
		t.Error("a pod that is being deleted goes anyway")
	}
}

func TestBindable(t *testing.T) {
	now := metav1.Now()
	for want, p := range map[string]*corev1.Pod{
		"":                    {},
		"is being deleted":    {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}},
		"is already assigned": {Spec: corev1.PodSpec{NodeName: "n"}},
		"non-empty":           {Spec: corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "a"}}}},
	} {
		if err := bindable(p); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 4}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodReady}, {Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}}}
	markScheduled(p)
	markScheduled(p)
	if c := p.Status.Conditions; len(c) != 2 || c[1].Status != corev1.ConditionTrue || c[1].Reason != "" || c[1].ObservedGeneration != 4 || c[1].LastTransitionTime.IsZero() {
		t.Errorf("%+v", c)
	}
	p.Status.Conditions = nil
	if markScheduled(p); len(p.Status.Conditions) != 1 {
		t.Errorf("%+v", p.Status.Conditions)
	}
}

func TestPickContainer(t *testing.T) {
	one := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}, InitContainers: []corev1.Container{{Name: "i"}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}}}
	two := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b"}}}}
	for _, tt := range []struct {
		pod        *corev1.Pod
		name, want string
	}{{one, "", "a"}, {one, "a", "a"}, {one, "i", "i"}, {one, "e", "e"}, {one, "x", ""}, {two, "b", "b"}, {two, "", ""}} {
		got, err := pickContainer(tt.pod, tt.name)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q of %d: %q, %v", tt.name, len(tt.pod.Spec.Containers), got, err)
		}
	}
}

func TestQueries(t *testing.T) {
	if got := streamQuery(true, false, true, true).Encode(); got != "error=1&input=1&tty=1" {
		t.Errorf("stream: %s", got)
	}
	since := metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	o := &corev1.PodLogOptions{Follow: true, Timestamps: true, TailLines: new(int64(3)), LimitBytes: new(int64(0)), SinceTime: &since, Stream: new("Stdout")}
	if got := logQuery(o).Encode(); got != "follow=true&limitBytes=0&sinceTime=2026-01-01T12%3A00%3A00Z&stream=Stdout&tailLines=3&timestamps=true" {
		t.Errorf("log: %s", got)
	}
	if got := logQuery(&corev1.PodLogOptions{Previous: true, SinceSeconds: new(int64(5))}).Encode(); got != "previous=true&sinceSeconds=5" {
		t.Errorf("log: %s", got)
	}
	back := &corev1.PodLogOptions{}
	if err := fromQuery(logQuery(o), back); err != nil || !back.Follow || back.Previous || *back.TailLines != 3 || *back.LimitBytes != 0 || !back.SinceTime.Equal(&since) || *back.Stream != "Stdout" {
		t.Errorf("%v, %+v", err, back)
	}
}

func TestFromQuery(t *testing.T) {
	exec := &corev1.PodExecOptions{}
	q := url.Values{"command": {"ls", "-l"}, "stdin": {""}, "tty": {"false"}, "container": {"c"}, "unknown": {"x"}, "stdout": {}}
	if err := fromQuery(q, exec); err != nil || strings.Join(exec.Command, " ") != "ls -l" || !exec.Stdin || exec.TTY || exec.Container != "c" || exec.Stdout {
		t.Errorf("%v, %+v", err, exec)
	}
	forward := &corev1.PodPortForwardOptions{}
	if err := fromQuery(url.Values{"ports": {"80", "81"}}, forward); err != nil || len(forward.Ports) != 2 || forward.Ports[1] != 81 {
		t.Errorf("%v, %+v", err, forward)
	}
	for name, bad := range map[string]struct {
		q    url.Values
		into any
	}{
		"bool": {url.Values{"tty": {"maybe"}}, exec}, "number": {url.Values{"tailLines": {"few"}}, &corev1.PodLogOptions{}},
		"wide": {url.Values{"ports": {"99999999999"}}, forward}, "time": {url.Values{"sinceTime": {"noon"}}, &corev1.PodLogOptions{}},
	} {
		if err := fromQuery(bad.q, bad.into); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestWebURL(t *testing.T) {
	for _, tt := range []struct{ scheme, host, port, want string }{
		{"", "10.0.0.1", "", "http://10.0.0.1:80"}, {"https", "fd00::1", "8443", "https://[fd00::1]:8443"},
	} {
		if got := webURL(tt.scheme, tt.host, tt.port).String(); got != tt.want {
			t.Errorf("got %s", got)
		}
	}
}

func TestScale(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "n", UID: "u", ResourceVersion: "5"},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}, Status: appsv1.DeploymentStatus{Replicas: 1}}
	s := &Scale{&Store{kind: strategyOf(t, d).kind}}
	got, err := s.of(d)
	if err != nil || got.Spec.Replicas != 2 || got.Status.Replicas != 1 || got.Status.Selector != "a=b" || got.UID != "u" || got.ResourceVersion != "5" || got.Namespace != "n" {
		t.Errorf("%v, %+v", err, got)
	}
	update := func(change func(*autoscalingv1.Scale)) (*appsv1.Deployment, error) {
		c := got.DeepCopy()
		change(c)
		obj, err := (&scaledObject{s, rest.DefaultUpdatedObjectInfo(c), "d"}).UpdatedObject(t.Context(), d)
		if err != nil {
			return nil, err
		}
		return obj.(*appsv1.Deployment), nil
	}
	up, err := update(func(s *autoscalingv1.Scale) { s.Spec.Replicas, s.ResourceVersion = 0, "4" })
	if err != nil || *up.Spec.Replicas != 0 || up.ResourceVersion != "4" || *d.Spec.Replicas != 2 {
		t.Errorf("%v, %+v", err, up)
	}
	if up, err = update(func(s *autoscalingv1.Scale) { s.ResourceVersion = "" }); err != nil || up.ResourceVersion != "5" {
		t.Errorf("without a version: %v, %+v", err, up)
	}
	if _, err = update(func(s *autoscalingv1.Scale) { s.Spec.Replicas = -1 }); !errors.IsInvalid(err) {
		t.Errorf("negative: %v", err)
	}
	if _, err = update(func(s *autoscalingv1.Scale) { s.UID = "another" }); !errors.IsConflict(err) {
		t.Errorf("of another object: %v", err)
	}
}

func TestTable(t *testing.T) {
	columns := []metav1.TableColumnDefinition{{Name: "Name"}}
	tb := tables{kind.Kind{Columns: columns, Cells: func(o runtime.Object, _ time.Time) []any { return []any{o.(*corev1.ConfigMap).Name} }}}
	left := int64(3)
	list := &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "c", RemainingItemCount: &left}, Items: []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}}
	table, err := tb.ConvertToTable(t.Context(), list, nil)
	if err != nil || len(table.ColumnDefinitions) != 1 || len(table.Rows) != 2 || table.Rows[1].Cells[0] != "b" || table.ResourceVersion != "7" || table.Continue != "c" || *table.RemainingItemCount != 3 {
		t.Errorf("a list: %v, %+v", err, table)
	}
	one := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "5"}}
	table, err = tb.ConvertToTable(t.Context(), one, &metav1.TableOptions{})
	if err != nil || len(table.ColumnDefinitions) != 1 || len(table.Rows) != 1 || table.ResourceVersion != "5" || table.Rows[0].Object.Object != one {
		t.Errorf("one: %v, %+v", err, table)
	}
	// A watch sends the columns once.
	if table, err = tb.ConvertToTable(t.Context(), one, &metav1.TableOptions{NoHeaders: true}); err != nil || table.ColumnDefinitions != nil || len(table.Rows) != 1 {
		t.Errorf("without columns: %v, %+v", err, table)
	}
}
