package join

import (
	"context"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// store models etcd's membership: an unhealthy moment before each change.
type store struct {
	members []*etcdserverpb.Member
	unready int // how often a change is still refused
	adds    int
}

func (s *store) refuse(err error) error {
	if s.unready > 0 {
		s.unready--
		return err
	}
	return nil
}
func (s *store) Close() error { return nil }
func (s *store) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	return &clientv3.MemberListResponse{Members: s.members}, nil
}
func (s *store) MemberAddAsLearner(_ context.Context, urls []string) (*clientv3.MemberAddResponse, error) {
	if err := s.refuse(rpctypes.ErrUnhealthy); err != nil {
		return nil, err
	}
	s.adds++
	s.members = append(s.members, &etcdserverpb.Member{ID: uint64(100 + s.adds), PeerURLs: urls, IsLearner: true})
	return &clientv3.MemberAddResponse{Members: s.members}, nil
}
func (s *store) MemberPromote(_ context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	if err := s.refuse(rpctypes.ErrMemberLearnerNotReady); err != nil {
		return nil, err
	}
	for _, m := range s.members {
		if m.ID == id {
			m.IsLearner = false
		}
	}
	return nil, nil
}
func (s *store) MemberRemove(_ context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	s.members = slices.DeleteFunc(s.members, func(m *etcdserverpb.Member) bool { return m.ID == id })
	return nil, nil
}

func TestAMemberJoinsOnceVotesAndLeaves(t *testing.T) {
	s := &store{members: []*etcdserverpb.Member{{ID: 1, Name: "m1", PeerURLs: []string{"https://a"}}}, unready: 1}
	for range 2 { // the second time after a cut
		initial, err := AddLearner(t.Context(), s, "m2", "https://b")
		if err != nil || len(initial) != 2 || initial["m1"] != "https://a" || initial["m2"] != "https://b" {
			t.Fatalf("%v %v", initial, err)
		}
	}
	if s.adds != 1 {
		t.Errorf("added %d times", s.adds)
	}
	s.unready = 1
	for range 2 {
		if err := Promote(t.Context(), s, "m2", "https://b"); err != nil || s.members[1].IsLearner {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Remove(t.Context(), s, "m2", "https://b"); err != nil || len(s.members) != 1 {
			t.Fatal(err, s.members)
		}
	}
	if err := Promote(t.Context(), s, "m3", "https://c"); err == nil {
		t.Error("promoted who is no member")
	}
}
