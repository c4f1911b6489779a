package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	// retryFor bounds waiting for what passes by itself: a cluster that has just
	// changed members is "unhealthy" for a moment.
	retryFor   = 30 * time.Second
	retryEvery = 100 * time.Millisecond
)

// AddLearner makes the member known to the others and returns the initial
// cluster that it has to be started with. A member that is known already, from a
// run that was cut, is not added again. With empty, the server holds no data of a
// member: one that is known and was started is gone for good, and leaves first.
func AddLearner(ctx context.Context, s Store, name, peerURL string, empty bool) (map[string]string, error) {
	list, err := s.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	members := list.Members
	started := func(m *etcdserverpb.Member) bool { return slices.Contains(m.PeerURLs, peerURL) && m.Name != "" }
	if empty && slices.ContainsFunc(members, started) {
		if err := Remove(ctx, s, name, peerURL); err != nil {
			return nil, fmt.Errorf("%s was a member before: %w", name, err)
		}
		return AddLearner(ctx, s, name, peerURL, empty)
	}
	// etcd refuses a second learner only once all members have been told of it, and
	// each then tries to reach one for ever: it must not be asked.
	if i := slices.IndexFunc(members, func(m *etcdserverpb.Member) bool { return m.IsLearner && !slices.Contains(m.PeerURLs, peerURL) }); i >= 0 {
		return nil, fmt.Errorf("add etcd member %s: another member, %s %v, is still joining: bring that master up or take it out first", name, members[i].Name, members[i].PeerURLs)
	}
	if !slices.ContainsFunc(members, func(m *etcdserverpb.Member) bool { return slices.Contains(m.PeerURLs, peerURL) }) {
		err = retry(ctx, retryFor, func() error {
			added, err := s.MemberAddAsLearner(ctx, []string{peerURL})
			if err == nil {
				members = added.Members
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("add etcd member %s (%s): %w%s", name, peerURL, err, down(ctx, s))
		}
	}
	initial := map[string]string{}
	for _, m := range members {
		for _, url := range m.PeerURLs {
			switch {
			case url == peerURL:
				initial[name] = url
			case m.Name != "":
				initial[m.Name] = url
			default: // added and never started; its name does not matter to us
				initial[fmt.Sprintf("%x", m.ID)] = url
			}
		}
	}
	return initial, nil
}

// Promote makes the learner a voter once it has caught up, which takes as long as the
// store is large. It is given up when it comes no further for so long, and goes on
// catching up all the same.
func Promote(ctx context.Context, s Store, name, peerURL string, patience time.Duration) error {
	m, err := find(ctx, s, peerURL)
	if err != nil {
		return err
	}
	if m == nil {
		return fmt.Errorf("promote etcd member %s: no member has peer URL %s", name, peerURL)
	}
	if !m.IsLearner {
		return nil
	}
	for at := progress(ctx, s, peerURL); ; {
		err := retry(ctx, patience, func() error {
			_, err := s.MemberPromote(ctx, m.ID)
			if errors.Is(err, rpctypes.ErrMemberNotLearner) {
				return nil
			}
			return err
		})
		if err == nil {
			return nil
		}
		now := progress(ctx, s, peerURL)
		if ctx.Err() != nil || !passes(err) || now <= at {
			return fmt.Errorf("promote etcd member %s, which is at entry %d of its log: %w", name, now, err)
		}
		at = now
	}
}

// progress is how far the log of a member reaches; 0 when it does not say.
func progress(ctx context.Context, s Store, peerURL string) uint64 {
	m, err := find(ctx, s, peerURL)
	if err != nil || m == nil || len(m.ClientURLs) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := s.Status(ctx, m.ClientURLs[0])
	if err != nil {
		return 0
	}
	return status.RaftIndex
}

// Remove takes a member out, if the voters that stay are a quorum of themselves,
// and sees that they are one afterwards. A member that is not there is no error.
func Remove(ctx context.Context, s Store, name, peerURL string) error {
	m, err := find(ctx, s, peerURL)
	if err != nil || m == nil {
		return err
	}
	if err := mayLeave(ctx, s, name, m.ID); err != nil {
		return err
	}
	err = retry(ctx, retryFor, func() error {
		_, err := s.MemberRemove(ctx, m.ID)
		if errors.Is(err, rpctypes.ErrMemberNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove etcd member %s: %w", name, err)
	}
	err = retry(ctx, retryFor, func() error {
		v, err := voters(ctx, s, m.ID)
		if err == nil {
			err = v.quorum()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("etcd member %s was removed, and now %w", name, err)
	}
	return nil
}

// MayLeave says why the member cannot be taken out; nil when it can.
func MayLeave(ctx context.Context, s Store, name, peerURL string) error {
	m, err := find(ctx, s, peerURL)
	if err != nil || m == nil {
		return err
	}
	return mayLeave(ctx, s, name, m.ID)
}

func mayLeave(ctx context.Context, s Store, name string, id uint64) error {
	v, err := voters(ctx, s, id)
	if err == nil {
		err = v.quorum()
	}
	if err != nil {
		return fmt.Errorf("etcd member %s cannot leave: without it %w", name, err)
	}
	return nil
}

func find(ctx context.Context, s Store, peerURL string) (*etcdserverpb.Member, error) {
	list, err := s.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	for _, m := range list.Members {
		if slices.Contains(m.PeerURLs, peerURL) {
			return m, nil
		}
	}
	return nil, nil
}

// retry repeats what fails for a reason that passes, for so long.
func retry(ctx context.Context, patience time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := f()
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (tried for %s)", err, patience)
		case <-time.After(retryEvery):
		}
	}
}

func passes(err error) bool {
	for _, e := range []error{rpctypes.ErrUnhealthy, rpctypes.ErrMemberLearnerNotReady, rpctypes.ErrNoLeader, rpctypes.ErrLeaderChanged, rpctypes.ErrMemberNotEnoughStarted, errNoQuorum} {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}
