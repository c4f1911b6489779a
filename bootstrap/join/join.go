package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/pki"
)

// Store is the part of etcd's client that membership needs.
type Store interface {
	MemberList(ctx context.Context, opts ...clientv3.OpOption) (*clientv3.MemberListResponse, error)
	MemberAddAsLearner(ctx context.Context, peerURLs []string) (*clientv3.MemberAddResponse, error)
	MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error)
	MemberRemove(ctx context.Context, id uint64) (*clientv3.MemberRemoveResponse, error)
	// Status asks one member, by one of its client URLs, how it is.
	Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error)
	Close() error
}

// Dial is how a connection through a host is made.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Open returns a client of the etcd at endpoint (a URL), as an identity that
// exists in memory only.
func Open(endpoint string, ca *pki.Authority, dial Dial, now time.Time) (Store, error) {
	pair, err := ca.Issue(pki.Request{CommonName: "gantry-bootstrap", Lifetime: time.Hour}, now)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	p := patient{}
	p.line, p.lost = context.WithCancelCause(context.Background()) // until Close
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, RootCAs: roots},
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := dial(ctx, "tcp", address)
			if errors.Is(err, host.ErrUnreachable) {
				p.lost(err) // or the client would try again and again
			}
			return conn, err
		})},
	})
	if err != nil {
		p.lost(err)
		return nil, fmt.Errorf("etcd client for %s: %w", endpoint, err)
	}
	p.Client = c
	return p, nil
}

// answerWithin is how long one call of the store may take. Without a quorum etcd
// never answers some, and its client asks again and again.
const answerWithin = 20 * time.Second

// patient is a client whose calls end: after their time, and with the connection to
// the host through which they go, which is not made again.
type patient struct {
	*clientv3.Client
	line context.Context
	lost context.CancelCauseFunc
}

func (p patient) Close() error {
	p.lost(nil)
	return p.Client.Close()
}

func within[T any](ctx context.Context, p patient, call func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer context.AfterFunc(p.line, cancel)()
	out, err := call(bounded)
	switch {
	case err == nil || ctx.Err() != nil:
	case p.line.Err() != nil:
		err = context.Cause(p.line)
	case bounded.Err() != nil:
		err = fmt.Errorf("no answer within %s, as of a store without a quorum: see that the masters' etcd run and that their disks have room (%w)", answerWithin, err)
	}
	return out, err
}

func (p patient) MemberList(ctx context.Context, opts ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	return within(ctx, p, func(ctx context.Context) (*clientv3.MemberListResponse, error) {
		return p.Client.MemberList(ctx, opts...)
	})
}

func (p patient) MemberAddAsLearner(ctx context.Context, peerURLs []string) (*clientv3.MemberAddResponse, error) {
	return within(ctx, p, func(ctx context.Context) (*clientv3.MemberAddResponse, error) {
		return p.Client.MemberAddAsLearner(ctx, peerURLs)
	})
}

func (p patient) MemberPromote(ctx context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	return within(ctx, p, func(ctx context.Context) (*clientv3.MemberPromoteResponse, error) {
		return p.Client.MemberPromote(ctx, id)
	})
}

func (p patient) MemberRemove(ctx context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	return within(ctx, p, func(ctx context.Context) (*clientv3.MemberRemoveResponse, error) {
		return p.Client.MemberRemove(ctx, id)
	})
}

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
			return fmt.Errorf("promote etcd member %s, which is at entry %d of the store's log: %w", name, now, err)
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
