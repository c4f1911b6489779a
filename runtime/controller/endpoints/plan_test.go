package endpoints

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func testService(edit ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "d", Labels: map[string]string{"team": "x"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.9", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Selector: map[string]string{"app": "a"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP}},
		},
	}
	for _, e := range edit {
		e(s)
	}
	return s
}

func testPod(name, ip string, ready bool, edit ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", UID: types.UID(name), Labels: map[string]string{"app": "a"}},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}},
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	for _, e := range edit {
		e(p)
	}
	return p
}

// text is what a list of subsets says: ready, then unready addresses, then ports.
func text(in []corev1.EndpointSubset) string {
	var out string
	list := func(mark string, addresses []corev1.EndpointAddress) {
		for _, a := range addresses {
			out += mark + a.IP
			if a.Hostname != "" {
				out += "(" + a.Hostname + ")"
			}
		}
	}
	for _, s := range in {
		list(" +", s.Addresses)
		list(" -", s.NotReadyAddresses)
		for _, p := range s.Ports {
			out += fmt.Sprintf(" %s:%d/%s", p.Name, p.Port, p.Protocol)
		}
	}
	return out
}

func TestWhichPods(t *testing.T) {
	ending := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	named := func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "h", "web" }
	for what, tt := range map[string]struct {
		service *corev1.Service
		pods    []*corev1.Pod
		want    string
	}{
		"none":                   {testService(), nil, ""},
		"ready and not":          {testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true), testPod("b", "10.1.0.2", false)}, " +10.1.0.1 -10.1.0.2 http:8080/TCP"},
		"one without an address": {testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true, func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "", nil })}, ""},
		"one that has ended":     {testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}, ""},
		"one that is ending":     {testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true, ending)}, ""},
		"unready, published": {
			testService(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }),
			[]*corev1.Pod{testPod("a", "10.1.0.1", false), testPod("b", "10.1.0.2", false, ending)}, " +10.1.0.1 +10.1.0.2 http:8080/TCP"},
		"a port by number": {
			testService(func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(99) }), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, " +10.1.0.1 http:99/TCP"},
		"a port that no pod names": {
			testService(func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromString("other") }), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, ""},
		"headless without ports": {
			testService(headless, func(s *corev1.Service) { s.Spec.Ports = nil }), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, " +10.1.0.1"},
		"no ports, with an address": {testService(func(s *corev1.Service) { s.Spec.Ports = nil }), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, ""},
		"a name of its own":         {testService(headless), []*corev1.Pod{testPod("a", "10.1.0.1", true, named)}, " +10.1.0.1(h) http:8080/TCP"},
		"of the other family": {
			testService(func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }),
			[]*corev1.Pod{testPod("a", "10.1.0.1", true, func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00:0::1"}) })}, " +fd00::1 http:8080/TCP"},
		"the family of the cluster IP": {
			testService(func(s *corev1.Service) { s.Spec.IPFamilies, s.Spec.ClusterIP = nil, "fd00::9" }),
			[]*corev1.Pod{testPod("a", "10.1.0.1", true, func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00::1"}) })}, " +fd00::1 http:8080/TCP"},
	} {
		got := plan(tt.service, tt.pods, nil, time.Time{})
		if text(got.Subsets) != tt.want {
			t.Errorf("%s:%s, want%s", what, text(got.Subsets), tt.want)
		}
	}
	a := plan(testService(), []*corev1.Pod{testPod("a", "10.1.0.1", true)}, nil, time.Time{}).Subsets[0].Addresses[0]
	if *a.NodeName != "n" || !equality.Semantic.DeepEqual(a.TargetRef, &corev1.ObjectReference{Kind: "Pod", Namespace: "d", Name: "a", UID: "a"}) {
		t.Errorf("address %+v", a)
	}
}

func TestWhatIsWritten(t *testing.T) {
	pods := []*corev1.Pod{testPod("a", "10.1.0.1", true), testPod("b", "10.1.0.2", true)}
	at := time.Date(2026, 1, 1, 0, 0, 0, 5, time.UTC)
	first := plan(testService(), pods, nil, at)
	if first.Name != "web" || first.Namespace != "d" || first.Labels["team"] != "x" || first.Labels[managedByLabel] != managedBy || len(first.Labels) != 2 ||
		first.Annotations[corev1.EndpointsLastChangeTriggerTime] != "2026-01-01T00:00:00.000000005Z" {
		t.Fatalf("%+v", first)
	}
	for what, tt := range map[string]struct {
		service *corev1.Service
		pods    []*corev1.Pod
		edit    func(*corev1.Endpoints)
		want    bool
	}{
		"nothing new":           {testService(), pods, nil, false},
		"the pods' order":       {testService(), []*corev1.Pod{pods[1], pods[0]}, nil, false},
		"another packing":       {testService(), pods, func(e *corev1.Endpoints) { e.Subsets = append(e.Subsets, e.Subsets[0]) }, false},
		"somebody's annotation": {testService(), pods, func(e *corev1.Endpoints) { e.Annotations["x"] = "y" }, false},
		"a pod less":            {testService(), pods[:1], nil, true},
		"somebody's label":      {testService(), pods, func(e *corev1.Endpoints) { e.Labels["x"] = "y" }, true},
		"a label of old":        {testService(), pods, func(e *corev1.Endpoints) { delete(e.Labels, managedByLabel) }, true},
		"headless now":          {testService(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), pods, nil, true},
		"not headless any more": {testService(), pods, func(e *corev1.Endpoints) { e.Labels[corev1.IsHeadlessService] = "" }, true},
		"a mark that is wrong":  {testService(), pods, func(e *corev1.Endpoints) { e.Annotations[corev1.EndpointsOverCapacity] = "truncated" }, true},
	} {
		current := first.DeepCopy()
		if tt.edit != nil {
			tt.edit(current)
		}
		before := current.DeepCopy()
		got := plan(tt.service, tt.pods, current, time.Time{})
		if (got != nil) != tt.want {
			t.Errorf("%s: writes %+v", what, got)
		}
		if !equality.Semantic.DeepEqual(before, current) {
			t.Errorf("%s: what is cached was changed", what)
		}
		if got != nil && got.Annotations[corev1.EndpointsLastChangeTriggerTime] != "" {
			t.Errorf("%s: the time of an earlier change stays", what)
		}
	}
}

func TestTruncate(t *testing.T) {
	of := func(ready, waiting int) corev1.EndpointSubset {
		return corev1.EndpointSubset{Addresses: make([]corev1.EndpointAddress, ready), NotReadyAddresses: make([]corev1.EndpointAddress, waiting)}
	}
	for what, tt := range map[string]struct {
		in, want [][2]int
		over     bool
	}{
		"as many as there may be":     {[][2]int{{600, 100}, {300, 0}}, [][2]int{{600, 100}, {300, 0}}, false},
		"one unready too many":        {[][2]int{{600, 401}}, [][2]int{{600, 400}}, true},
		"unready ones by their share": {[][2]int{{600, 600}, {200, 200}}, [][2]int{{600, 150}, {200, 50}}, true},
		"as many ready ones":          {[][2]int{{1000, 1}}, [][2]int{{1000, 0}}, true},
		"too many ready ones":         {[][2]int{{1500, 10}, {500, 10}}, [][2]int{{750, 0}, {250, 0}}, true},
		"rounded up, the last pays":   {[][2]int{{1, 0}, {1, 0}, {1000, 0}}, [][2]int{{1, 0}, {1, 0}, {998, 0}}, true},
		"a subset that goes":          {[][2]int{{1500, 0}, {0, 10}}, [][2]int{{1000, 0}}, true},
	} {
		var in []corev1.EndpointSubset
		for _, n := range tt.in {
			in = append(in, of(n[0], n[1]))
		}
		got, over := truncate(in)
		var numbers [][2]int
		for _, s := range got {
			numbers = append(numbers, [2]int{len(s.Addresses), len(s.NotReadyAddresses)})
		}
		if over != tt.over || fmt.Sprint(numbers) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, %t", what, numbers, over)
		}
	}
	var many []*corev1.Pod
	for i := range capacity + 1 {
		many = append(many, testPod(fmt.Sprint("p", i), fmt.Sprintf("10.1.%d.%d", i/256, i%256), true))
	}
	full := plan(testService(), many, nil, time.Time{})
	if full.Annotations[corev1.EndpointsOverCapacity] != "truncated" || len(full.Subsets[0].Addresses) != capacity {
		t.Errorf("%d addresses, %v", len(full.Subsets[0].Addresses), full.Annotations)
	}
	if again := plan(testService(), many, full, time.Time{}); again != nil {
		t.Error("what is truncated is written again and again")
	}
}
