package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

const (
	// upkeepPeriod is how often a member notes how far it has come, and looks whether its
	// data file is fragmented.
	upkeepPeriod = time.Minute
	// upkeepTimeout bounds one request to the store.
	upkeepTimeout = 5 * time.Second
)

// keeper looks after one member for as long as it runs.
type keeper struct {
	*Server
	etcd  *embed.Etcd
	store *clientv3.Client // of this process, without a connection
	// revisions are those of the last looks, the oldest first.
	revisions []int64
	alarms    string // that were told last
}

// keepUp looks after the member until ctx is done.
func (s *Server) keepUp(ctx context.Context, e *embed.Etcd) {
	select {
	case <-ctx.Done():
		return
	case <-e.Server.ReadyNotify():
	}
	k := &keeper{Server: s, etcd: e, store: v3client.New(e.Server)}
	defer k.store.Close()
	alarms := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gantry_etcd_alarms", Help: "Alarms of the store's members: a full data file, or data that differs."},
		func() float64 { return float64(len(e.Server.Alarms())) })
	if err := prometheus.Register(alarms); err == nil {
		defer prometheus.Unregister(alarms)
	}
	tick := time.NewTicker(upkeepPeriod)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			if err := writeRecord(s.memberDir, k.record()); err != nil {
				s.log.Warn("what is known of this member is not up to date", "error", err)
			}
			return
		case <-tick.C:
		}
	}
}

// look does what is due. What fails is due again at the next look.
func (k *keeper) look(ctx context.Context) {
	for _, due := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"note how far this member has come", k.note},
		{"look after the data file", k.tidy},
		{"take a snapshot", k.snapshot},
	} {
		if err := due.do(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("the upkeep of the store failed and is tried again", "what", due.what, "error", err)
		}
	}
}

// record is how far the member has come by now.
func (k *keeper) record() record {
	srv := k.etcd.Server
	r := record{ClusterID: srv.Cluster().ID().String(), MemberID: srv.MemberID().String(), Index: srv.AppliedIndex(), Term: srv.Term()}
	for _, m := range srv.Cluster().Members() {
		if m.ID != srv.MemberID() {
			r.Peers = append(r.Peers, m.ClientURLs...)
		}
	}
	return r
}

// note writes the record beside the data, and leaves it with the peers: in the store,
// which they hold on other disks.
func (k *keeper) note(ctx context.Context) error {
	r := k.record()
	if err := writeRecord(k.memberDir, r); err != nil {
		return err
	}
	if len(r.Peers) == 0 || k.etcd.Server.IsLearner() || k.etcd.Server.Leader() == 0 {
		return nil // nobody to leave it with, or nobody to write it for us
	}
	data, err := json.Marshal(record{ClusterID: r.ClusterID, MemberID: r.MemberID, Index: r.Index, Term: r.Term})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	_, err = k.store.Put(ctx, recordPrefix+r.MemberID, string(data))
	return err
}

// The data file is made compact when at least half of it, and so much, is free in it, or
// when it is full.
const (
	worthDefrag = 64 << 20
	// defragKey is held by the member that makes its data file compact: it serves
	// nothing meanwhile. defragLease frees it when that member dies over it.
	defragKey   = "gantry.run/etcd/defragmenting"
	defragLease = 5 * time.Minute
	// keptLooks is for how many looks revisions are kept when the store is full.
	keptLooks = 5
)

// room is how full a data file is.
type room struct {
	size, inUse, quota int64
	full               bool // the member has raised the alarm
}

// fragmented reports whether it is worth to make the file compact.
func (r room) fragmented() bool {
	free := r.size - r.inUse
	return free >= worthDefrag && (free >= r.size/2 || r.full)
}

// hasRoom reports whether the alarm may be taken back: a tenth of the quota is free.
func (r room) hasRoom() bool { return r.size <= r.quota/10*9 }

func (k *keeper) room() room {
	b := k.etcd.Server.Backend()
	own := uint64(k.etcd.Server.MemberID())
	return room{size: b.Size(), inUse: b.SizeInUse(), quota: quotaBytes, full: slices.ContainsFunc(k.etcd.Server.Alarms(), func(a *etcdserverpb.AlarmMember) bool {
		return a.MemberID == own && a.Alarm == etcdserverpb.AlarmType_NOSPACE
	})}
}

// tidy tells alarms, makes the data file compact when that is worth it, and takes the
// alarm of a full one back once there is room.
func (k *keeper) tidy(ctx context.Context) error {
	k.tell()
	k.revisions = append(k.revisions, k.etcd.Server.KV().Rev())
	if n := len(k.revisions); n > keptLooks {
		k.revisions = k.revisions[n-keptLooks:]
	}
	r := k.room()
	if r.full {
		if err := k.compact(ctx, k.revisions[0]); err != nil {
			return err
		}
		r = k.room()
	}
	if r.fragmented() {
		if err := k.defragment(ctx, r); err != nil {
			return err
		}
		r = k.room()
	}
	if !r.full || !r.hasRoom() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	_, err := k.etcd.Server.Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_DEACTIVATE, MemberID: uint64(k.etcd.Server.MemberID()), Alarm: etcdserverpb.AlarmType_NOSPACE,
	})
	k.tell()
	return err
}

// tell logs which alarms there are whenever that changes.
func (k *keeper) tell() {
	now := alarmsOf(k.etcd)
	if now == k.alarms {
		return
	}
	if k.alarms = now; now == "" {
		k.log.Info("the store has no alarm any more")
		return
	}
	k.log.Error("the store has raised an alarm", "alarms", now)
}

func alarmsOf(e *embed.Etcd) string {
	var out []string
	for _, a := range e.Server.Alarms() {
		out = append(out, a.Alarm.String()+" of member "+types.ID(a.MemberID).String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// compact drops what is older than a revision. The API servers do so, but cannot note
// that they did when the store takes no writes.
func (k *keeper) compact(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	_, err := k.store.Compact(ctx, revision, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("compact revisions up to %d: %w", revision, err)
	}
	return nil
}

// defragment makes this member's data file compact, unless another member is at that: a
// member serves nothing meanwhile, and one that leads hands the lead on before.
func (k *keeper) defragment(ctx context.Context, r room) error {
	asking, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	if r.full { // it takes no key: the members take turns
		if !k.turn(time.Now()) {
			return nil
		}
	} else {
		release, err := k.alone(asking)
		if release == nil {
			return err
		}
		defer release()
	}
	if err := k.handOn(asking); err != nil {
		return err
	}
	begin := time.Now()
	if err := k.etcd.Server.Defragment(); err != nil {
		return fmt.Errorf("make the data file compact: %w", err)
	}
	k.log.Info("the data file was made compact", "before", r.size, "after", k.etcd.Server.Backend().Size(), "took", time.Since(begin).String())
	return nil
}

// alone takes the key that one member may hold at a time; release is nil when another
// one has it.
func (k *keeper) alone(ctx context.Context) (release func(), err error) {
	lease, err := k.store.Grant(ctx, int64(defragLease/time.Second))
	if err != nil {
		return nil, err
	}
	release = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), upkeepTimeout)
		defer cancel()
		k.store.Revoke(ctx, lease.ID) //nolint:errcheck // it ends by itself
	}
	got, err := k.store.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(defragKey), "=", 0)).
		Then(clientv3.OpPut(defragKey, k.cfg.Name, clientv3.WithLease(lease.ID))).Commit()
	if err != nil || !got.Succeeded {
		release()
		return nil, err
	}
	return release, nil
}

// turn reports whether it is this member's minute: each has one after the other.
func (k *keeper) turn(now time.Time) bool {
	var ids []types.ID
	for _, m := range k.etcd.Server.Cluster().Members() {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	own := slices.Index(ids, k.etcd.Server.MemberID())
	return own >= 0 && int(now.Unix()/60)%len(ids) == own
}

// handOn gives the lead to another voter, when there is one that takes it.
func (k *keeper) handOn(ctx context.Context) error {
	srv := k.etcd.Server
	if srv.Leader() != srv.MemberID() {
		return nil
	}
	var err error
	for _, m := range srv.Cluster().Members() {
		if m.ID == srv.MemberID() || m.IsLearner {
			continue
		}
		trying, cancel := context.WithTimeout(ctx, upkeepTimeout/3)
		err = srv.MoveLeader(trying, srv.Lead(), uint64(m.ID))
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// corrupt says that this member's data differs from the others'; nil when it does not.
func corrupt(e *embed.Etcd) error {
	for _, a := range e.Server.Alarms() {
		if a.Alarm == etcdserverpb.AlarmType_CORRUPT && a.MemberID == uint64(e.Server.MemberID()) {
			return errors.New("the data of this member differs from that of the others: replace the member (remove its master, and add it again)")
		}
	}
	return nil
}
