package join

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// store models etcd's membership: an unhealthy moment before each change.
type store struct {
	members []*etcdserverpb.Member
	unready int // how often a change is still refused
	adds    int
	down    []string // client URLs that do not answer
	index   uint64   // of each member's log
	grows   uint64   // by how much the log does between two looks at it
}

func (s *store) refuse(err error) error {
	if s.unready > 0 {
		s.unready--
		return err
	}
	return nil
}
func (s *store) Close() error { return nil }
func (s *store) Status(_ context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	if slices.Contains(s.down, endpoint) {
		return nil, context.DeadlineExceeded
	}
	s.index += s.grows
	return &clientv3.StatusResponse{RaftIndex: s.index}, nil
}
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
	s := &store{members: []*etcdserverpb.Member{{ID: 1, Name: "m1", PeerURLs: []string{"https://a"}, ClientURLs: []string{"a"}}}, unready: 1}
	for range 2 { // the second time after a cut
		initial, err := AddLearner(t.Context(), s, "m2", "https://b", false)
		if err != nil || len(initial) != 2 || initial["m1"] != "https://a" || initial["m2"] != "https://b" {
			t.Fatalf("%v %v", initial, err)
		}
	}
	if s.adds != 1 {
		t.Errorf("added %d times", s.adds)
	}
	s.unready = 1
	for range 2 {
		if err := Promote(t.Context(), s, "m2", "https://b", time.Second); err != nil || s.members[1].IsLearner {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Remove(t.Context(), s, "m2", "https://b"); err != nil || len(s.members) != 1 {
			t.Fatal(err, s.members)
		}
	}
	if err := Promote(t.Context(), s, "m3", "https://c", time.Second); err == nil {
		t.Error("promoted who is no member")
	}
}

// A large store takes its time, which nobody knows beforehand.
func TestALearnerIsWaitedForAsLongAsItComesFurther(t *testing.T) {
	learner := func(grows uint64) *store {
		s := &store{members: members("a", "b"), index: 7, grows: grows, unready: 3000} // 5 min of tries
		s.members[1].IsLearner = true
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		s := learner(1)
		if err := Promote(t.Context(), s, "b", "https://b", time.Minute); err != nil || s.members[1].IsLearner {
			t.Errorf("one that comes further: %v", err)
		}
		start := time.Now()
		err := Promote(t.Context(), learner(0), "b", "https://b", time.Minute)
		if !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) || !strings.Contains(err.Error(), "at entry 7") || !strings.Contains(err.Error(), "tried for 1m0s") {
			t.Errorf("one that stands still: %v", err)
		}
		if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
			t.Errorf("one that stands still was waited for %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		if err := Promote(ctx, learner(1), "b", "https://b", time.Minute); err == nil || time.Since(start) > 5*time.Minute {
			t.Errorf("after the end of the operation: %v", err)
		}
	})
}

func members(names ...string) []*etcdserverpb.Member {
	var out []*etcdserverpb.Member
	for i, n := range names {
		out = append(out, &etcdserverpb.Member{ID: uint64(i + 1), Name: n, PeerURLs: []string{"https://" + n}, ClientURLs: []string{n}})
	}
	return out
}

func TestAMemberLeavesOnlyAQuorum(t *testing.T) {
	for name, tc := range map[string]struct {
		members, down []string
		leaving       string
		ok            bool
	}{
		"one of three":                 {[]string{"a", "b", "c"}, nil, "a", true},
		"the dead one of three":        {[]string{"a", "b", "c"}, []string{"c"}, "c", true},
		"a live one beside a dead one": {[]string{"a", "b", "c"}, []string{"c"}, "a", false},
		"one of two":                   {[]string{"a", "b"}, nil, "b", true},
		"the last":                     {[]string{"a"}, nil, "a", false},
		"one of five, one dead":        {[]string{"a", "b", "c", "d", "e"}, []string{"e"}, "a", true},
		"one of five, two dead":        {[]string{"a", "b", "c", "d", "e"}, []string{"d", "e"}, "a", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{members: members(tc.members...), down: tc.down}
			err := Remove(t.Context(), s, tc.leaving, "https://"+tc.leaving)
			if (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
			if left := len(s.members); (left == len(tc.members)) == tc.ok {
				t.Errorf("%d members are left of %d", left, len(tc.members))
			}
			if !tc.ok && !errors.Is(err, errNoQuorum) {
				t.Errorf("the reason is %v", err)
			}
		})
	}
}

func TestOneMemberJoinsAtATime(t *testing.T) {
	s := &store{members: append(members("a"), &etcdserverpb.Member{ID: 9, PeerURLs: []string{"https://b"}, IsLearner: true})}
	if _, err := AddLearner(t.Context(), s, "c", "https://c", true); err == nil || s.adds != 0 {
		t.Errorf("%v, added %d", err, s.adds)
	}
}

func TestAMemberWhoseServerWasEmptiedIsAnotherMember(t *testing.T) {
	s := &store{members: members("a", "b", "c"), down: []string{"b"}}
	initial, err := AddLearner(t.Context(), s, "b", "https://b", true)
	if err != nil || len(initial) != 3 {
		t.Fatal(initial, err)
	}
	i := slices.IndexFunc(s.members, func(m *etcdserverpb.Member) bool { return m.ID == 2 })
	if i >= 0 || s.adds != 1 || len(s.members) != 3 {
		t.Errorf("members are %v", s.members)
	}
}
