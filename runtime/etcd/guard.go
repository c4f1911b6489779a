package etcd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/runtime/durable"
)

// A member that comes back with less than it once had has forgotten entries that it had
// acknowledged and votes that it had given. It would vote again, for a leader that lacks
// them: with one more member behind, what was acknowledged is lost. So it does not start.
//
// What it once had is told by three witnesses: the record beside its data, the file that
// the apply leaves on a server that was a member, and, of a server whose whole disk is
// an old one, the record that it left with its peers.

// replaceIt is what mends a member that does not start.
const replaceIt = "it would vote as one that had never been away, and what the others count on it for would be lost. " +
	"The next terraform apply takes it out of etcd and lets it join as a new member"

// refusal says why the member must not start; nil when it may. own is this server's
// record, nil when there is none; told are those that its peers have of it, as far as
// they could be asked; joined is whether the server was a working member before.
func refusal(dataDir string, own *record, joined bool, d *onDisk, told []record) error {
	switch {
	case d == nil && own != nil:
		return fmt.Errorf("the data directory %s is empty, but this server is member %s of the cluster and held its log up to entry %d: %s", dataDir, own.MemberID, own.Index, replaceIt)
	case d == nil && joined:
		return fmt.Errorf("the data directory %s is empty, but this server was a member of the cluster: %s", dataDir, replaceIt)
	case d == nil:
		return nil
	case own != nil && (own.MemberID != d.MemberID || own.ClusterID != d.ClusterID):
		return fmt.Errorf("the data directory %s is that of member %s of cluster %s, but this server is member %s of cluster %s: %s",
			dataDir, d.MemberID, d.ClusterID, own.MemberID, own.ClusterID, replaceIt)
	case own != nil && own.behind(*d):
		return fmt.Errorf("the data directory %s ends at entry %d (term %d), but this server had come to entry %d (term %d): it is older than the membership, as of a disk that was restored; %s",
			dataDir, d.Index, d.Term, own.Index, own.Term, replaceIt)
	}
	for _, r := range told {
		if r.behind(*d) {
			return fmt.Errorf("the data directory %s ends at entry %d (term %d), but the other members know of this one at entry %d (term %d): it is older than the membership, as of a disk that was restored; %s",
				dataDir, d.Index, d.Term, r.Index, r.Term, replaceIt)
		}
	}
	return nil
}

// mayStart looks whether the member may start, and leaves the reason beside the data, for
// whoever looks at the server.
func (s *Server) mayStart(ctx context.Context) (refused, err error) {
	if err := os.MkdirAll(s.memberDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of what is known of this member: %w", err)
	}
	own, err := readRecord(s.memberDir)
	if err != nil {
		return nil, err
	}
	joined, err := exists(s.joinedFile)
	if err != nil {
		return nil, err
	}
	d, err := readDisk(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var told []record
	if d != nil {
		told = s.askPeers(ctx, d.MemberID, s.peersOf(own))
	} else if !joined {
		joined = s.startedBefore(ctx, s.peersOf(own))
	}
	refused = refusal(s.cfg.Dir, own, joined, d, told)
	path := filepath.Join(s.memberDir, RefusedFile)
	if refused == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, nil
	}
	return refused, durable.WriteFile(nil, path, fmt.Appendln(nil, refused), durable.Attributes{Mode: 0o600})
}

func exists(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

const (
	// peersTimeout is how long peers may take to say what they know of a member that
	// starts.
	peersTimeout = time.Second
	// servesTimeout is how long one may take to be connected to. When all start at once
	// none can be, and none waits longer.
	servesTimeout = 300 * time.Millisecond
)

// recordPrefix is where members leave their records in the store, by member ID.
const recordPrefix = "gantry.run/etcd/members/"

// askPeers asks the peers for what this member left with them. Each answers by itself,
// without a quorum.
func (s *Server) askPeers(ctx context.Context, memberID string, peers []string) []record {
	told := make([]record, len(peers))
	s.eachPeer(ctx, peers, func(ctx context.Context, i int, c *clientv3.Client) {
		got, err := c.Get(ctx, recordPrefix+memberID, clientv3.WithSerializable())
		if err != nil || len(got.Kvs) == 0 {
			return
		}
		if err := json.Unmarshal(got.Kvs[0].Value, &told[i]); err != nil {
			s.log.Warn("a peer's record of this member cannot be read", "peer", peers[i], "error", err)
		}
	})
	return told
}

// startedBefore reports whether a peer knows this member as one that was started: one
// that was only added has no name yet.
func (s *Server) startedBefore(ctx context.Context, peers []string) bool {
	var known atomic.Bool
	s.eachPeer(ctx, peers, func(ctx context.Context, _ int, c *clientv3.Client) {
		list, err := c.MemberList(ctx, clientv3.WithSerializable())
		if err != nil {
			return
		}
		for _, m := range list.Members {
			if m.Name != "" && slices.Contains(m.PeerURLs, s.cfg.AdvertisePeerUrls[0].String()) {
				known.Store(true)
			}
		}
	})
	return known.Load()
}

// eachPeer asks all peers that answer, at once and for no longer than peersTimeout.
func (s *Server) eachPeer(ctx context.Context, peers []string, ask func(ctx context.Context, i int, c *clientv3.Client)) {
	creds, err := s.cfg.PeerTLSInfo.ClientConfig()
	if err != nil {
		return // the member will not start either, and says why
	}
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	var asked sync.WaitGroup
	for i, peer := range peers {
		asked.Go(func() {
			if !serves(ctx, peer, creds) {
				return
			}
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{peer}, TLS: creds, DialTimeout: peersTimeout, Logger: zap.NewNop()})
			if err != nil {
				return
			}
			defer c.Close()
			ask(ctx, i, c)
		})
	}
	asked.Wait()
}

// serves reports whether a member serves there. One that starts itself has its socket,
// shakes no hands yet, and would be waited for.
func serves(ctx context.Context, raw string, creds *tls.Config) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, servesTimeout)
	defer cancel()
	c, err := (&tls.Dialer{Config: creds}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
