package etcd

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/runtime/config"
)

// answerTimeout is how long one member may take to say how it is.
const answerTimeout = 2 * time.Second

// Role is what a member is to the others.
type Role string

// The roles.
const (
	Leader  Role = "leader"
	Voter   Role = "voter"
	Learner Role = "learner"
)

// Member is one member of the store, and how it is.
type Member struct {
	Name string `json:"name"`
	// Address is that of its server.
	Address string `json:"address"`
	Role    Role   `json:"role"`
	Version string `json:"version,omitempty"`
	// Revision is the last one it has applied; Term and Index are where its log is. The
	// members of a store that is well are of one term, and close in the others.
	Revision int64  `json:"revision,omitempty"`
	Term     uint64 `json:"raftTerm,omitempty"`
	Index    uint64 `json:"raftIndex,omitempty"`
	// DBBytes is the size of its data file, InUseBytes what of it is not free.
	DBBytes    int64 `json:"dbBytes,omitempty"`
	InUseBytes int64 `json:"inUseBytes,omitempty"`
	// Problem says why it does not serve; empty when it does.
	Problem string `json:"problem,omitempty"`
}

// Members asks for the members and how each of them is. Where there is no quorum
// it returns those that one living member knows of.
func Members(ctx context.Context, c config.EtcdClient) ([]Member, error) {
	tls, err := transport.TLSInfo{CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.CAFile}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the store's credentials: %w", err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints, TLS: tls, DialTimeout: answerTimeout, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	list, err := memberList(ctx, client)
	if err != nil {
		list, err = memberList(ctx, client, clientv3.WithSerializable())
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for the store's members: %w", strings.Join(c.Endpoints, ", "), err)
	}
	out := make([]Member, len(list.Members))
	var wg sync.WaitGroup
	for i, m := range list.Members {
		out[i] = memberOf(m)
		wg.Go(func() { out[i].ask(ctx, client, m.ID, m.ClientURLs) })
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func memberList(ctx context.Context, client *clientv3.Client, opts ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return client.MemberList(ctx, opts...)
}

// memberOf is a member as the others know it.
func memberOf(m *etcdserverpb.Member) Member {
	out := Member{Name: m.Name, Address: serverOf(m.PeerURLs), Role: Voter}
	if m.IsLearner {
		out.Role = Learner
	}
	return out
}

// statuser asks the member at an endpoint how it is.
type statuser interface {
	Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error)
}

// ask fills in what only the member itself knows.
func (m *Member) ask(ctx context.Context, client statuser, id uint64, urls []string) {
	if len(urls) == 0 {
		m.Problem = "it was added and has never been started"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	s, err := client.Status(ctx, urls[0])
	if err != nil {
		m.Problem = fmt.Sprintf("%s does not answer: %v", urls[0], err)
		return
	}
	m.Version, m.DBBytes, m.InUseBytes, m.Problem = s.Version, s.DbSize, s.DbSizeInUse, strings.Join(s.Errors, "; ")
	m.Revision, m.Term, m.Index = s.Header.GetRevision(), s.RaftTerm, s.RaftIndex
	if s.Leader == id {
		m.Role = Leader
	}
	if s.Leader == 0 && m.Problem == "" {
		m.Problem = "it knows of no leader: a majority of the voters is down"
	}
}

func serverOf(peerURLs []string) string {
	if len(peerURLs) == 0 {
		return ""
	}
	u, err := url.Parse(peerURLs[0])
	if err != nil {
		return peerURLs[0]
	}
	return u.Hostname()
}
