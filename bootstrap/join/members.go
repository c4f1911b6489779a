package join

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is one member of etcd, as it says itself.
type Member struct {
	// Name is empty on one that was added and never started.
	Name    string
	PeerURL string
	Leader  bool
	// Learner is set on one that does not vote yet.
	Learner bool
	// Problem says why it does not serve; empty when it does.
	Problem string
	// Bytes of its database.
	Bytes int64
}

// Members lists the members of etcd, ordered by name, and asks each how it is. It
// needs no quorum.
func Members(ctx context.Context, s Store) ([]Member, error) {
	list, err := s.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return nil, fmt.Errorf("list etcd members: %w", err)
	}
	out := make([]Member, len(list.Members))
	var wg sync.WaitGroup
	for i, m := range list.Members {
		out[i] = Member{Name: m.Name, Learner: m.IsLearner, Problem: "it was never started"}
		if len(m.PeerURLs) > 0 {
			out[i].PeerURL = m.PeerURLs[0]
		}
		if len(m.ClientURLs) == 0 {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			status, err := s.Status(ctx, m.ClientURLs[0])
			if err != nil {
				out[i].Problem = err.Error()
				return
			}
			out[i].Problem = strings.Join(status.Errors, "; ")
			out[i].Leader, out[i].Bytes = status.Leader == m.ID, status.DbSize
		})
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.Name+a.PeerURL, b.Name+b.PeerURL) })
	return out, nil
}
