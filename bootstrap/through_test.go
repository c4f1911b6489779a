package bootstrap

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	discoveryfake "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/runtime/client"
)

// What a master serves is reached through its SSH connection. So each call of the API
// and of the store is an operation of the host that it goes through: it is not made,
// or nobody is told what came of it, when the connection is cut there.

// apiThrough is the API by way of the first server's host.
func (w *world) apiThrough(o client.Options) (kubernetes.Interface, error) {
	address, _, _ := strings.Cut(o.Servers[0], ":")
	m := w.server(address)
	if m == nil {
		return nil, fmt.Errorf("no server has the address %s", address)
	}
	c := fake.NewSimpleClientset()
	c.Resources = w.api.Resources
	c.Discovery().(*discoveryfake.FakeDiscovery).FakedServerVersion = w.api.Discovery().(*discoveryfake.FakeDiscovery).FakedServerVersion
	c.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		var out runtime.Object
		err := m.Through(context.Background(), !slices.Contains([]string{"get", "list"}, a.GetVerb()), func() (err error) {
			out, err = w.api.Invokes(a, nil)
			return err
		})
		if err != nil {
			out = nil
		}
		return true, out, err
	})
	return c, nil
}

// storeThrough is the store by way of the host that serves the endpoint.
func (w *world) storeThrough(endpoint string, _ *pki.Authority, _ join.Dial, _ time.Time) (join.Store, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	m := w.server(at.Hostname())
	if m == nil {
		return nil, fmt.Errorf("no server serves %s", endpoint)
	}
	return w.store.Client(m.Address, m.Through), nil
}
