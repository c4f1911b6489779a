package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

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

// answerWithin is how long one call of etcd may take. Without a quorum etcd
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
		err = fmt.Errorf("no answer within %s, as of an etcd without a quorum: see that the masters' etcd run and that their disks have room (%w)", answerWithin, err)
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
