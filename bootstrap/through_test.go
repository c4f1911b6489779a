package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	discoveryfake "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
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

// voters models the membership of etcd.
type voters struct {
	mu      sync.Mutex
	members []*etcdserverpb.Member
	ids     uint64
	// broken are the peer URLs of members whose etcd answers nobody.
	broken []string
}

// start is a member's first start: the first one makes the store.
func (v *voters) start(name, url string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.members {
		if m.PeerURLs[0] == url {
			m.Name, m.ClientURLs = name, []string{url}
			return
		}
	}
	v.ids++
	v.members = append(v.members, &etcdserverpb.Member{ID: v.ids, Name: name, PeerURLs: []string{url}, ClientURLs: []string{url}})
}

func (v *voters) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, m := range v.members {
		if m.IsLearner {
			out = append(out, "learner "+m.Name)
		} else {
			out = append(out, m.Name)
		}
	}
	return out
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
	return &throughStore{w.store, m}, nil
}

// throughStore is a client of the member on one host. As in etcd, a learner answers
// nobody, and without a quorum a member answers only what it may know by itself.
type throughStore struct {
	*voters
	via *hosttest.Model
}

func (v *voters) answers(m *etcdserverpb.Member) bool {
	return m.Name != "" && !slices.Contains(v.broken, m.PeerURLs[0])
}

func (c *throughStore) call(ctx context.Context, changes, alone bool, do func()) error {
	return c.via.Through(ctx, changes, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		var self *etcdserverpb.Member
		voters, alive := 0, 0
		for _, m := range c.members {
			if strings.Contains(m.PeerURLs[0], "//"+c.via.Address+":") {
				self = m
			}
			if !m.IsLearner {
				voters++
				if c.answers(m) {
					alive++
				}
			}
		}
		switch {
		case self == nil || !c.answers(self):
			return errors.New(c.via.Title + ": connection refused")
		case self.IsLearner:
			return rpctypes.ErrGRPCNotSupportedForLearner
		case alive <= voters/2 && !alone:
			return context.DeadlineExceeded
		}
		do()
		return nil
	})
}

func (c *throughStore) Close() error { return nil }
func (c *throughStore) Status(ctx context.Context, endpoint string) (out *clientv3.StatusResponse, err error) {
	err = c.via.Through(ctx, false, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if slices.Contains(c.broken, endpoint) {
			return errors.New(endpoint + ": connection refused")
		}
		return nil
	})
	return &clientv3.StatusResponse{}, err
}
func (c *throughStore) MemberList(ctx context.Context, opts ...clientv3.OpOption) (out *clientv3.MemberListResponse, err error) {
	err = c.call(ctx, false, len(opts) > 0, func() {
		out = &clientv3.MemberListResponse{}
		for _, m := range c.members { // as they are now
			out.Members = append(out.Members, &etcdserverpb.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner})
		}
	})
	return out, err
}
func (c *throughStore) MemberAddAsLearner(ctx context.Context, urls []string) (out *clientv3.MemberAddResponse, err error) {
	err = c.call(ctx, true, false, func() {
		c.ids++
		c.members = append(c.members, &etcdserverpb.Member{ID: c.ids, PeerURLs: urls, IsLearner: true})
		out = &clientv3.MemberAddResponse{Members: slices.Clone(c.members)}
	})
	return out, err
}
func (c *throughStore) MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	return nil, c.call(ctx, true, false, func() {
		for _, m := range c.members {
			if m.ID == id {
				m.IsLearner = false
			}
		}
	})
}
func (c *throughStore) MemberRemove(ctx context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	return nil, c.call(ctx, true, false, func() {
		c.members = slices.DeleteFunc(c.members, func(m *etcdserverpb.Member) bool { return m.ID == id })
	})
}

var _ join.Store = (*throughStore)(nil)
