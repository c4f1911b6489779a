package dra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	api "k8s.io/kubelet/pkg/apis/dra/v1"
	"k8s.io/utils/ptr"
)

// model is a driver that serves the real protocol. It knows what is prepared.
type model struct {
	api.UnimplementedDRAPluginServer
	name string

	mu       sync.Mutex
	refuse   error
	silent   bool // about every claim
	prepared map[string]bool
	calls    []string
}

func (m *model) answer(claim *api.Claim, verb string) (text string, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, verb+" "+m.name+" "+claim.Name)
	if m.refuse != nil {
		return m.refuse.Error(), m.silent
	}
	if verb == "prepare" {
		m.prepared[claim.Uid] = true
	} else {
		delete(m.prepared, claim.Uid)
	}
	return "", m.silent
}

func (m *model) NodePrepareResources(_ context.Context, req *api.NodePrepareResourcesRequest) (*api.NodePrepareResourcesResponse, error) {
	out := &api.NodePrepareResourcesResponse{Claims: map[string]*api.NodePrepareResourceResponse{}}
	for _, c := range req.Claims {
		text, silent := m.answer(c, "prepare")
		if silent {
			continue
		}
		out.Claims[c.Uid] = &api.NodePrepareResourceResponse{Error: text, Devices: []*api.Device{
			{RequestNames: []string{"r/sub"}, CdiDeviceIds: []string{m.name + "/d=" + c.Name + "-r"}}, {RequestNames: []string{"s"}, CdiDeviceIds: []string{m.name + "/d=" + c.Name + "-s"}},
		}}
	}
	return out, nil
}

func (m *model) NodeUnprepareResources(_ context.Context, req *api.NodeUnprepareResourcesRequest) (*api.NodeUnprepareResourcesResponse, error) {
	out := &api.NodeUnprepareResourcesResponse{Claims: map[string]*api.NodeUnprepareResourceResponse{}}
	for _, c := range req.Claims {
		if text, silent := m.answer(c, "unprepare"); !silent {
			out.Claims[c.Uid] = &api.NodeUnprepareResourceResponse{Error: text}
		}
	}
	return out, nil
}

func (m *model) take() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.calls = nil }()
	return strings.Join(m.calls, ", ")
}

func (m *model) has() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.prepared)
}

func (m *model) refuses(err error, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse, m.silent = err, silent
}

// serve has a driver listen, and returns where.
func (m *model) serve(t *testing.T, dir string) string {
	t.Helper()
	m.prepared = map[string]bool{}
	endpoint := filepath.Join(dir, m.name+".sock")
	l, err := net.Listen("unix", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterDRAPluginServer(server, m)
	go server.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(server.Stop)
	return endpoint
}

// node is a manager with an API that it asks.
type node struct {
	*Manager
	api   *fake.Clientset
	later []func() // what is to be done after a delay
	stops int
}

func newNode(t *testing.T, objects ...runtime.Object) *node {
	t.Helper()
	n := &node{api: fake.NewClientset(objects...)}
	after := func(d time.Duration, f func()) func() bool {
		if d != wipeDelay {
			t.Errorf("after %v", d)
		}
		n.later = append(n.later, f)
		return func() bool { n.stops++; return true }
	}
	n.Manager = &Manager{Claims: n.api.ResourceV1(), Drivers: NewDrivers("w", n.api.ResourceV1(), after, slog.New(slog.DiscardHandler)), File: filepath.Join(t.TempDir(), "claims.json")}
	return n
}

// restart is the next process: it has the file and the drivers.
func (n *node) restart() { n.Manager = &Manager{Claims: n.Claims, Drivers: n.Drivers, File: n.File} }

func (n *node) register(t *testing.T, name, endpoint string) {
	t.Helper()
	if err := n.Drivers.Register(t.Context(), name, endpoint, nil); err != nil {
		t.Fatal(err)
	}
}

// pod has the claims of those names.
func pod(uid string, claims ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "pod-" + uid, UID: types.UID(uid)}}
	for _, c := range claims {
		p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, corev1.PodResourceClaim{Name: c, ResourceClaimName: ptr.To(c)})
	}
	return p
}

// claim has a device of each driver, and is reserved for pods.
func claim(name string, drivers []string, pods ...string) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID("uid-" + name)}}
	c.Status.Allocation = &resourcev1.AllocationResult{}
	for _, d := range drivers {
		c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results, resourcev1.DeviceRequestAllocationResult{Driver: d, Request: "r"})
	}
	for _, p := range pods {
		c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "pod-" + p, UID: types.UID(p)})
	}
	return c
}

func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestClaimsArePreparedAndUnprepared(t *testing.T) {
	dir := t.TempDir()
	one, two := &model{name: "one"}, &model{name: "two"}
	n := newNode(t, claim("a", []string{"one", "one"}, "u", "v"), claim("b", []string{"one", "two"}, "u"))
	ctx, u, v := t.Context(), pod("u", "a", "b"), pod("v", "a")
	expect(t, "without drivers", n.Prepare(ctx, u), "DRA driver one is not registered")
	at := one.serve(t, dir)
	n.register(t, "one", at)
	expect(t, "without one of them", n.Prepare(ctx, u), "DRA driver two is not registered")
	if got := one.take(); got != "prepare one a, prepare one b" {
		t.Errorf("asked: %s", got)
	}
	n.register(t, "two", two.serve(t, dir))
	expect(t, "with both", n.Prepare(ctx, u), "")
	if got := one.take() + two.take(); got != "prepare two b" {
		t.Errorf("asked is what is missing: %s", got)
	}
	expect(t, "again", n.Prepare(ctx, u), "")
	expect(t, "for another", n.Prepare(ctx, v), "")
	n.restart()
	n.api.PrependReactor("get", "resourceclaims", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("away") })
	expect(t, "after a restart, without the API", n.Prepare(ctx, u), "")
	if got := one.take() + two.take(); got != "" {
		t.Errorf("asked again: %s", got)
	}
	expect(t, "the first ends", n.Unprepare(ctx, "u"), "")
	if got := one.take() + two.take(); got != "unprepare one bunprepare two b" {
		t.Errorf("asked: %s", got)
	}
	expect(t, "a stranger ends", n.Unprepare(ctx, "w"), "")
	one.refuses(errors.New("busy"), false)
	expect(t, "the last ends, but not yet", n.Unprepare(ctx, "v"), "NodeUnprepareResources of DRA driver one failed for ResourceClaim n/a: busy")
	one.refuses(nil, true)
	expect(t, "nothing is said", n.Unprepare(ctx, "v"), "says nothing of ResourceClaim n/a")
	n.Drivers.Deregister("one", at)
	expect(t, "nobody is there", n.Unprepare(ctx, "v"), "DRA driver one is not registered")
	n.register(t, "one", at)
	one.refuses(nil, false)
	n.restart()
	expect(t, "the last ends", n.Unprepare(ctx, "v"), "")
	one.take()
	expect(t, "once more", n.Unprepare(ctx, "v"), "")
	if got := one.take(); got != "" || one.has()+two.has() != 0 {
		t.Errorf("asked again %q, left are %d", got, one.has()+two.has())
	}
}

// A claim that could not be prepared is unprepared with its pod: the driver may have begun.
func TestWhatFailedIsTakenBackToo(t *testing.T) {
	one := &model{name: "one"}
	n := newNode(t, claim("a", []string{"one"}, "u"))
	n.register(t, "one", one.serve(t, t.TempDir()))
	one.refuses(errors.New("broken"), false)
	expect(t, "refused", n.Prepare(t.Context(), pod("u", "a")), "NodePrepareResources of DRA driver one failed for ResourceClaim n/a: broken")
	one.refuses(nil, true)
	expect(t, "silent", n.Prepare(t.Context(), pod("u", "a")), "says nothing of ResourceClaim n/a")
	one.refuses(nil, false)
	n.restart()
	one.take()
	expect(t, "the pod ends", n.Unprepare(t.Context(), "u"), "")
	if got := one.take(); got != "unprepare one a" {
		t.Errorf("asked: %q", got)
	}
}

func TestWhoseAClaimIs(t *testing.T) {
	pending := claim("a", nil)
	pending.Status.Allocation = nil
	foreign := claim("made", []string{"one"}, "u")
	foreign.OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", APIVersion: "v1", Name: "other", UID: "other", Controller: ptr.To(true)}}
	made := pod("u")
	made.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "t", ResourceClaimTemplateName: ptr.To("t")}}
	told := made.DeepCopy()
	told.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "t", ResourceClaimName: ptr.To("made")}}
	for name, test := range map[string]struct {
		pod   *corev1.Pod
		there []runtime.Object
		want  string
	}{
		"none":                 {pod("u"), nil, ""},
		"not there":            {pod("u", "a"), nil, "fetch ResourceClaim a"},
		"not allocated":        {pod("u", "a"), []runtime.Object{pending}, "ResourceClaim a is not allocated"},
		"reserved for another": {pod("u", "a"), []runtime.Object{claim("a", nil, "v")}, "pod pod-u (u) is not allowed to use ResourceClaim a (uid-a)"},
		"not made yet":         {made, nil, "ResourceClaim not created yet"},
		"made for another":     {told, []runtime.Object{foreign}, "ResourceClaim n/made"},
		"of no driver":         {pod("u", "a"), []runtime.Object{claim("a", nil, "u")}, ""},
	} {
		n := newNode(t, test.there...)
		err := n.Prepare(t.Context(), test.pod)
		if test.want != "" && err != nil && name == "made for another" {
			continue // the library's message
		}
		expect(t, name, err, test.want)
		if _, err := os.Stat(n.File); (err == nil) != (name == "of no driver") {
			t.Errorf("%s: kept is something: %v", name, err == nil)
		}
	}
}

func TestDevicesOfAContainer(t *testing.T) {
	one, two := &model{name: "one"}, &model{name: "two"}
	dir := t.TempDir()
	n := newNode(t, claim("a", []string{"one", "two"}, "u"))
	p := pod("u", "a")
	container := func(refs ...corev1.ResourceClaim) *corev1.Container {
		return &corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Claims: refs}}
	}
	_, err := n.Edits(t.Context(), p, container(corev1.ResourceClaim{Name: "a"}))
	expect(t, "before", err, "ResourceClaim a is not prepared")
	n.register(t, "one", one.serve(t, dir))
	n.register(t, "two", two.serve(t, dir))
	expect(t, "prepare", n.Prepare(t.Context(), p), "")
	for name, test := range map[string]struct {
		refs []corev1.ResourceClaim
		want string
	}{
		"none":         {nil, "[]"},
		"all":          {[]corev1.ResourceClaim{{Name: "a"}}, "[one/d=a-r one/d=a-s two/d=a-r two/d=a-s]"},
		"of a request": {[]corev1.ResourceClaim{{Name: "a", Request: "s"}}, "[one/d=a-s two/d=a-s]"},
		"of each":      {[]corev1.ResourceClaim{{Name: "a", Request: "s"}, {Name: "a", Request: "r"}}, "[one/d=a-s two/d=a-s one/d=a-r two/d=a-r]"},
		"of no":        {[]corev1.ResourceClaim{{Name: "a", Request: "x"}}, "[]"},
	} {
		edits, err := n.Edits(t.Context(), p, container(test.refs...))
		ids := []string{}
		for _, e := range edits {
			ids = append(ids, e.CDIDevices...)
		}
		if got := fmt.Sprint(ids); err != nil || got != test.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
	}
	_, err = n.Edits(t.Context(), p, container(corev1.ResourceClaim{Name: "b"}))
	expect(t, "another", err, `there is no ResourceClaim "b" of the pod`)
}

func TestWhatWasKeptMustBeReadable(t *testing.T) {
	n := newNode(t, claim("a", nil, "u"))
	if err := os.WriteFile(n.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, "prepare", n.Prepare(t.Context(), pod("u", "a")), "read which ResourceClaims are prepared")
	expect(t, "unprepare", n.Unprepare(t.Context(), "u"), "read which ResourceClaims are prepared")
}

func TestDriversComeAndGo(t *testing.T) {
	n := newNode(t)
	d := n.Drivers
	expect(t, "no name", d.Validate("", "/e", []string{"v1.DRAPlugin"}), "name")
	expect(t, "no endpoint", d.Validate("one", "", []string{"v1.DRAPlugin"}), "endpoint")
	expect(t, "old", d.Validate("one", "/e", []string{"v1beta1.DRAPlugin"}), `does not support "v1.DRAPlugin"`)
	expect(t, "fine", d.Validate("one", "/e", []string{"v1beta1.DRAPlugin", "v1.DRAPlugin"}), "")

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	deleted := func() []string {
		var out []string
		for _, a := range n.api.Actions() {
			if a, ok := a.(clienttesting.DeleteCollectionAction); ok {
				out = append(out, a.GetListRestrictions().Fields.String())
			}
		}
		return out
	}
	for len(deleted()) == 0 {
		time.Sleep(time.Millisecond)
	}
	n.register(t, "one", "/a")
	n.register(t, "one", "/b")
	if d.newest("one").endpoint != "/b" {
		t.Error("the newest is asked")
	}
	d.Deregister("one", "/b")
	if d.newest("one").endpoint != "/a" || len(n.later) != 0 {
		t.Error("the other is still there")
	}
	d.Deregister("one", "/a")
	if d.newest("one") != nil || len(n.later) != 1 {
		t.Fatal("none is there")
	}
	n.register(t, "one", "/c")
	if n.stops != 1 {
		t.Error("one that is back loses nothing")
	}
	n.later[0]() // too late to be stopped
	d.Deregister("one", "/c")
	n.later[1]()
	if got := deleted(); !slices.Equal(got, []string{"spec.nodeName=w", "spec.driver=one,spec.nodeName=w"}) {
		t.Errorf("deleted are %q", got)
	}
	cancel()
	<-ended
}
