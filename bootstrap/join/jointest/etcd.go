// Package jointest is a model of etcd's membership: who is a member, who votes, and what
// is answered with and without a quorum. It is linked by tests only. It may import
// bootstrap/join.
package jointest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/bootstrap/join"
)

// Etcd is one etcd, with all its members.
type Etcd struct {
	mu      sync.Mutex
	members []*etcdserverpb.Member
	ids     uint64
	broken  []string // peer URLs of members whose etcd answers nobody
}

// Start is a member's first start: the first one makes the store.
func (e *Etcd) Start(name, peerURL string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.members {
		if m.PeerURLs[0] == peerURL {
			m.Name, m.ClientURLs = name, []string{peerURL}
			return
		}
	}
	e.ids++
	e.members = append(e.members, &etcdserverpb.Member{ID: e.ids, Name: name, PeerURLs: []string{peerURL}, ClientURLs: []string{peerURL}})
}

// Break ends the etcd of members, by their peer URLs.
func (e *Etcd) Break(peerURLs ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken = append(e.broken, peerURLs...)
}

// Names are those of the members, in the order in which they came: "m1", or "learner m1".
func (e *Etcd) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, m := range e.members {
		if m.IsLearner {
			out = append(out, "learner "+m.Name)
		} else {
			out = append(out, m.Name)
		}
	}
	return out
}

// Voter is the ID of the voter with a peer URL; 0 when there is none.
func (e *Etcd) Voter(peerURL string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.members {
		if !m.IsLearner && slices.Contains(m.PeerURLs, peerURL) {
			return m.ID
		}
	}
	return 0
}

// Through makes a call by way of the server that it goes through; changes says whether it
// changes anything.
type Through func(ctx context.Context, changes bool, do func() error) error

// Client is a client of the member at an IP address. As in etcd, a learner answers nobody,
// and without a quorum a member answers only what it may know by itself.
func (e *Etcd) Client(ip string, through Through) join.Store { return &store{e, ip, through} }

type store struct {
	*Etcd
	ip      string
	through Through
}

func (e *Etcd) answers(m *etcdserverpb.Member) bool {
	return m.Name != "" && !slices.Contains(e.broken, m.PeerURLs[0])
}

func (s *store) call(ctx context.Context, changes, alone bool, do func()) error {
	return s.through(ctx, changes, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		var self *etcdserverpb.Member
		voters, alive := 0, 0
		for _, m := range s.members {
			if strings.Contains(m.PeerURLs[0], "//"+s.ip+":") {
				self = m
			}
			if !m.IsLearner {
				voters++
				if s.answers(m) {
					alive++
				}
			}
		}
		switch {
		case self == nil || !s.answers(self):
			return errors.New(s.ip + ": connection refused")
		case self.IsLearner:
			return rpctypes.ErrGRPCNotSupportedForLearner
		case alive <= voters/2 && !alone:
			return context.DeadlineExceeded
		}
		do()
		return nil
	})
}

func (s *store) Close() error { return nil }

func (s *store) Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	err := s.through(ctx, false, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if slices.Contains(s.broken, endpoint) {
			return errors.New(endpoint + ": connection refused")
		}
		return nil
	})
	return &clientv3.StatusResponse{}, err
}

func (s *store) MemberList(ctx context.Context, opts ...clientv3.OpOption) (out *clientv3.MemberListResponse, err error) {
	err = s.call(ctx, false, len(opts) > 0, func() {
		out = &clientv3.MemberListResponse{}
		for _, m := range s.members { // as they are now
			out.Members = append(out.Members, &etcdserverpb.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner})
		}
	})
	return out, err
}

func (s *store) MemberAddAsLearner(ctx context.Context, urls []string) (out *clientv3.MemberAddResponse, err error) {
	err = s.call(ctx, true, false, func() {
		s.ids++
		s.members = append(s.members, &etcdserverpb.Member{ID: s.ids, PeerURLs: urls, IsLearner: true})
		out = &clientv3.MemberAddResponse{Members: slices.Clone(s.members)}
	})
	return out, err
}

func (s *store) MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	return nil, s.call(ctx, true, false, func() {
		for _, m := range s.members {
			if m.ID == id {
				m.IsLearner = false
			}
		}
	})
}

func (s *store) MemberRemove(ctx context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	return nil, s.call(ctx, true, false, func() {
		s.members = slices.DeleteFunc(s.members, func(m *etcdserverpb.Member) bool { return m.ID == id })
	})
}
