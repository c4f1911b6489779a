package reconcilers

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// keys are those in etcd, in its order.
type keys struct {
	clientv3.KV
	names []string
	err   error
}

func (k keys) Get(_ context.Context, prefix string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	out := &clientv3.GetResponse{}
	for _, name := range k.names {
		if strings.HasPrefix(name, prefix) {
			out.Kvs = append(out.Kvs, &mvccpb.KeyValue{Key: []byte(name)})
		}
	}
	return out, k.err
}

func reconciler(api *fake.Clientset, k keys) *LeaseEndpoints {
	return NewLeaseEndpoints(&clientv3.Client{KV: k}, "/masters", netip.MustParseAddr("192.0.2.1"), 6443, api, slog.New(slog.DiscardHandler))
}

func addresses(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// writes are those since the last ClearActions, as "verb resource".
func writes(api *fake.Clientset) []string {
	var out []string
	for _, a := range api.Actions() {
		if a.GetVerb() != "get" {
			out = append(out, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return out
}

// TestTheMastersThatLiveAreListed: what they are in etcd, in order, but for those that
// nobody reaches elsewhere; what is listed already is not written. An empty list is never.
func TestTheMastersThatLiveAreListed(t *testing.T) {
	one, two := addresses("192.0.2.1"), addresses("192.0.2.1", "192.0.2.2")
	for name, tc := range map[string]struct {
		keys   []string
		have   []netip.Addr // listed before; nil: nothing is
		want   string       // of the slice; empty: as before
		writes []string
	}{
		"the first":               {keys: []string{"/masters/192.0.2.1"}, want: "192.0.2.1", writes: []string{"create endpointslices", "create endpoints"}},
		"a second":                {keys: []string{"/masters/192.0.2.2", "/masters/192.0.2.1"}, have: one, want: "192.0.2.1 192.0.2.2", writes: []string{"update endpointslices", "update endpoints"}},
		"nobody new":              {keys: []string{"/masters/192.0.2.1"}, have: one, want: "192.0.2.1"},
		"one has left":            {keys: []string{"/masters/192.0.2.1"}, have: two, want: "192.0.2.1", writes: []string{"update endpointslices", "update endpoints"}},
		"by number, not by text":  {keys: []string{"/masters/192.0.2.10", "/masters/192.0.2.9"}, want: "192.0.2.9 192.0.2.10", writes: []string{"create endpointslices", "create endpoints"}},
		"nobody":                  {have: one, want: "192.0.2.1"},
		"one that nobody reaches": {keys: []string{"/masters/127.0.0.1"}, have: one, want: "192.0.2.1"},
		"beside another":          {keys: []string{"/masters/127.0.0.1", "/masters/192.0.2.2"}, have: one, want: "192.0.2.2", writes: []string{"update endpointslices", "update endpoints"}},
		"what is no address":      {keys: []string{"/masters/x", "/mastersX/192.0.2.3", "/masters/192.0.2.1"}, have: one, want: "192.0.2.1"},
	} {
		api := fake.NewClientset()
		if tc.have != nil {
			api = fake.NewClientset(Slice(tc.have, 6443), Endpoints(tc.have, 6443))
		}
		if err := reconciler(api, keys{names: tc.keys}).reconcile(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := writes(api); !slices.Equal(got, tc.writes) {
			t.Errorf("%s: written is %q", name, got)
		}
		s, err := api.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := api.CoreV1().Endpoints("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var slice, endpoints []string
		for _, p := range s.Endpoints {
			slice = append(slice, p.Addresses...)
		}
		for _, a := range e.Subsets[0].Addresses {
			endpoints = append(endpoints, a.IP)
		}
		if got := strings.Join(slice, " "); got != tc.want || !slices.Equal(slice, endpoints) {
			t.Errorf("%s: listed are %s, and %q", name, got, endpoints)
		}
	}
}

// TestAnotherPortIsWritten, and what somebody made of the endpoints.
func TestAnotherPortIsWritten(t *testing.T) {
	masters := addresses("192.0.2.1")
	unready := Slice(masters, 6443)
	*unready.Endpoints[0].Conditions.Ready = false
	for name, tc := range map[string]struct {
		slice     *discoveryv1.EndpointSlice
		endpoints *corev1.Endpoints
		writes    []string
	}{
		"another port of both":      {Slice(masters, 1), Endpoints(masters, 1), []string{"update endpointslices", "update endpoints"}},
		"another port of the older": {Slice(masters, 6443), Endpoints(masters, 1), []string{"update endpoints"}},
		"one that is not ready":     {unready, Endpoints(masters, 6443), []string{"update endpointslices"}},
	} {
		api := fake.NewClientset(tc.slice, tc.endpoints)
		if err := reconciler(api, keys{names: []string{"/masters/192.0.2.1"}}).reconcile(t.Context()); err != nil || !slices.Equal(writes(api), tc.writes) {
			t.Errorf("%s: %v, %q", name, err, writes(api))
		}
	}
}

// TestWhatTheListOfMastersSays: ready endpoints of one family, which no controller mirrors.
func TestWhatTheListOfMastersSays(t *testing.T) {
	for address, family := range map[string]discoveryv1.AddressType{"192.0.2.1": discoveryv1.AddressTypeIPv4, "2001:db8::1": discoveryv1.AddressTypeIPv6} {
		s := Slice(addresses(address), 6443)
		if s.AddressType != family || !*s.Endpoints[0].Conditions.Ready || *s.Ports[0].Port != 6443 || s.Labels[discoveryv1.LabelServiceName] != "kubernetes" {
			t.Errorf("%s: %+v", address, s)
		}
	}
	if e := Endpoints(addresses("192.0.2.1"), 6443); e.Labels[discoveryv1.LabelSkipMirror] != "true" {
		t.Errorf("%v", e.Labels)
	}
}

// TestWhatFailsIsTold, but for a list that another master has just made.
func TestWhatFailsIsTold(t *testing.T) {
	exists := apierrors.NewAlreadyExists(schema.GroupResource{}, "kubernetes")
	broken := errors.New("no quorum")
	for name, tc := range map[string]struct {
		verb, resource string
		refused, etcd  error
		want           string
	}{
		"etcd":                       {etcd: broken, want: "list the keys of masters: no quorum"},
		"the slice is not read":      {verb: "get", resource: "endpointslices", refused: broken, want: "EndpointSlice default/kubernetes: no quorum"},
		"the endpoints are not":      {verb: "get", resource: "endpoints", refused: broken, want: "Endpoints default/kubernetes: no quorum"},
		"the slice is not made":      {verb: "create", resource: "endpointslices", refused: broken, want: "EndpointSlice default/kubernetes: no quorum"},
		"the endpoints are not made": {verb: "create", resource: "endpoints", refused: broken, want: "Endpoints default/kubernetes: no quorum"},
		"the slice was just made":    {verb: "create", resource: "endpointslices", refused: exists},
		"the endpoints were":         {verb: "create", resource: "endpoints", refused: exists},
	} {
		api := fake.NewClientset()
		if tc.refused != nil {
			api.PrependReactor(tc.verb, tc.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.refused })
		}
		err := reconciler(api, keys{names: []string{"/masters/192.0.2.1"}, err: tc.etcd}).reconcile(t.Context())
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
