package etcd

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestWhenADataFileIsMadeCompact(t *testing.T) {
	const quota = 1000 << 20
	for _, tc := range []struct {
		size, inUse         int64 // MiB
		full                bool
		fragmented, hasRoom bool
	}{
		{100, 36, false, true, true},
		{100, 37, false, false, true},   // too little is free to be worth it
		{200, 101, false, false, true},  // less than half of it is
		{200, 100, false, true, true},   //
		{200, 101, true, true, true},    // but it counts when the file is full
		{950, 900, true, false, false},  // all is in use
		{900, 900, true, false, true},   // a tenth of the quota is free
		{901, 900, true, false, false},  //
		{1000, 936, true, true, false},  //
		{1000, 937, true, false, false}, //
	} {
		r := room{size: tc.size << 20, inUse: tc.inUse << 20, quota: quota, full: tc.full}
		if r.fragmented() != tc.fragmented || r.hasRoom() != tc.hasRoom {
			t.Errorf("%d of %d MiB in use, full %v: fragmented %v, has room %v", tc.inUse, tc.size, tc.full, r.fragmented(), r.hasRoom())
		}
	}
}

// aloneMember starts a member that has no other.
func aloneMember(t *testing.T) *member {
	t.Helper()
	ca, pair := credentials(t)
	m := &member{cfg: config.EtcdConfig{
		Name: "m1", DataDir: filepath.Join(t.TempDir(), "data"), Host: "127.0.0.1", ClientPort: ports.Reserve(t),
		InitialCluster:      map[string]string{"m1": fmt.Sprintf("https://127.0.0.1:%d", ports.Reserve(t))},
		InitialClusterState: "new", InitialClusterToken: "test", CAFile: ca, Server: pair, Peer: pair,
	}}
	m.start(t)
	return m
}

func (m *member) keeper() *keeper {
	e := m.server.etcd.Load()
	return &keeper{Server: m.server, etcd: e, store: v3client.New(e.Server)}
}

// TestAFragmentedFileIsMadeCompactAndAnAlarmTakenBack fills a data file, frees it, and
// sees that the member looks after itself.
func TestAFragmentedFileIsMadeCompactAndAnAlarmTakenBack(t *testing.T) {
	m := aloneMember(t)
	c, k := m.dial(t), m.keeper()
	defer k.store.Close()
	value := make([]byte, 1<<20)
	for i := range 80 {
		rand.Read(value)
		_, err := c.Put(t.Context(), fmt.Sprint("k", i%2), string(value))
		check(t, err)
	}
	before := k.room()
	if before.full || before.size < 80<<20 {
		t.Fatalf("%+v", before)
	}
	alarm := &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: uint64(k.etcd.Server.MemberID()), Alarm: etcdserverpb.AlarmType_NOSPACE}
	_, err := k.etcd.Server.Alarm(t.Context(), alarm)
	check(t, err)
	if _, err := c.Put(t.Context(), "k", "v"); err == nil {
		t.Fatal("a full store takes a write")
	}
	if !k.room().full || !strings.Contains(alarmsOf(k.etcd), "NOSPACE of member "+k.etcd.Server.MemberID().String()) {
		t.Errorf("%+v, alarms %s", k.room(), alarmsOf(k.etcd))
	}
	check(t, k.tidy(t.Context()))
	after := k.room()
	if after.full || after.size > 20<<20 || k.alarms != "" {
		t.Errorf("it was %+v and is %+v, alarms %q", before, after, k.alarms)
	}
	_, err = c.Put(t.Context(), "k", "v")
	check(t, err)
	if err := m.server.Ready(); err != nil {
		t.Error(err)
	}
	alarm.Alarm = etcdserverpb.AlarmType_CORRUPT
	_, err = k.etcd.Server.Alarm(t.Context(), alarm)
	check(t, err)
	if err := m.server.Ready(); err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("a member whose data differs: %v", err)
	}
}

func TestOneMemberAtATimeIsMadeCompact(t *testing.T) {
	members := threeMembers(t)
	first, second := members[0].keeper(), members[1].keeper()
	defer first.store.Close()
	defer second.store.Close()
	release, err := first.alone(t.Context())
	check(t, err)
	if again, err := second.alone(t.Context()); again != nil || err != nil {
		t.Errorf("two at a time, %v", err)
	}
	release()
	if release, err = second.alone(t.Context()); release == nil {
		t.Fatalf("it is not given back: %v", err)
	}
	release()
	turns := map[*keeper]int{}
	for minute := range 6 {
		n := 0
		for _, k := range []*keeper{first, second, members[2].keeper()} {
			if k.turn(time.Unix(int64(60*minute+30), 0)) {
				n++
				turns[k]++
			}
		}
		if n != 1 {
			t.Errorf("in minute %d %d members are at it", minute, n)
		}
	}
	if turns[first] != 2 || turns[second] != 2 {
		t.Errorf("%v", turns)
	}
	// Who leads hands the lead on before.
	for _, m := range members {
		k := m.keeper()
		if k.etcd.Server.Leader() == k.etcd.Server.MemberID() {
			check(t, k.handOn(t.Context()))
			if k.etcd.Server.Leader() == k.etcd.Server.MemberID() {
				t.Error("it leads still")
			}
			break
		}
	}
}

func TestConnectionsToPeersMayNotBeSilent(t *testing.T) {
	members := threeMembers(t)
	peers := map[netip.AddrPort]bool{}
	for _, m := range members {
		at, ok := addrPort(m.cfg.InitialCluster[m.cfg.Name])
		if !ok {
			t.Fatal(m.cfg.InitialCluster)
		}
		peers[at] = true
	}
	retry(t, "bound all", func(context.Context) error {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return err
		}
		dialled, accepted := 0, 0
		for _, entry := range open {
			var fd int
			if _, err := fmt.Sscan(entry.Name(), &fd); err != nil {
				return err
			}
			remote, err := unix.Getpeername(fd)
			if err != nil {
				continue
			}
			local, err := unix.Getsockname(fd)
			if err != nil || !peers[ipOf(remote)] && !peers[ipOf(local)] {
				continue
			}
			if peers[ipOf(remote)] {
				dialled++
			} else {
				accepted++
			}
			for _, o := range []struct{ level, option, want int }{
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 3000}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			} {
				if got, err := unix.GetsockoptInt(fd, o.level, o.option); err == nil && got != o.want {
					return fmt.Errorf("option %d of the connection to %s is %d, want %d", o.option, ipOf(remote), got, o.want)
				}
			}
		}
		if dialled < 6 || accepted < 6 { // two streams of each to each
			return fmt.Errorf("%d and %d connections", dialled, accepted)
		}
		return nil
	})
	for raw, want := range map[string]bool{"https://10.0.0.1:2380": true, "https://[fd00::1]:2380": true, "https://name:2380": false, "https://%zz": false} {
		if _, ok := addrPort(raw); ok != want {
			t.Errorf("%s: %v", raw, ok)
		}
	}
}

// pages is a data file of so many bytes.
type pages int64

func (p pages) Size() int64 { return int64(p) }
func (p pages) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, bytes.NewReader(make([]byte, p)))
}

func TestSnapshotsAreKeptForAWhile(t *testing.T) {
	s := Snapshots{Dir: filepath.Join(t.TempDir(), "snapshots"), Keep: 3}
	now := time.Now()
	due := func(at time.Time) bool {
		t.Helper()
		due, err := s.due(at)
		check(t, err)
		return due
	}
	if !due(now) {
		t.Error("the first is not due")
	}
	var paths []string
	for i := range 5 {
		path, err := s.take(now.Add(time.Duration(i)*time.Hour), int64(i), pages(4096))
		check(t, err)
		check(t, Verify(path))
		check(t, os.WriteFile(path+".part-1", nil, 0o600)) // of one that was cut
		paths = append(paths, path)
	}
	for i, path := range paths {
		if _, err := os.Stat(path); (err == nil) != (i >= 2) {
			t.Errorf("snapshot %d of 5: %v", i, err)
		}
		if _, err := os.Stat(path + ".part-1"); (err == nil) != (i == 4) {
			t.Errorf("what was cut beside snapshot %d: %v", i, err)
		}
	}
	last := time.Now()
	for after, want := range map[time.Duration]bool{0: false, snapshotPeriod - time.Minute: false, snapshotPeriod + time.Minute: true, -time.Hour: true} {
		if due(last.Add(after)) != want {
			t.Errorf("%s after the last one: due %v", after, !want)
		}
	}
	if info, err := os.Stat(paths[4]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(paths[4])
	check(t, err)
	for what, damaged := range map[string][]byte{"a bit": append([]byte{data[0] ^ 1}, data[1:]...), "its end": data[:len(data)-1], "all but the sum": data[len(data)-32:], "everything": nil} {
		check(t, os.WriteFile(paths[4], damaged, 0o600))
		if err := Verify(paths[4]); err == nil {
			t.Errorf("a snapshot without %s is whole", what)
		}
	}
	if _, err := s.take(now, 9, pages(1<<60)); err == nil || !strings.Contains(err.Error(), "have to stay free") {
		t.Errorf("one larger than the disk: %v", err)
	}
}

// TestAStoreIsRestored: the snapshot that a member took by itself brings back what it
// held, under later revisions.
func TestAStoreIsRestored(t *testing.T) {
	m := aloneMember(t)
	c := m.dial(t)
	_, err := c.Put(t.Context(), "k", "v")
	check(t, err)
	dir := m.cfg.DataDir + config.EtcdSnapshotsSuffix
	retry(t, "take the snapshot of its start", func(context.Context) error {
		names, err := m.server.snapshots.list()
		if err == nil && len(names) != 1 {
			err = fmt.Errorf("%v", names)
		}
		return err
	})
	check(t, os.RemoveAll(dir))
	k := m.keeper()
	defer k.store.Close()
	check(t, k.snapshot(t.Context()))
	names, err := m.server.snapshots.list()
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	check(t, k.snapshot(t.Context())) // not due
	fetched := filepath.Join(t.TempDir(), "fetched")
	check(t, Fetch(t.Context(), config.EtcdClient{Endpoints: []string{m.url()}, CAFile: m.cfg.CAFile, KeyPair: m.cfg.Peer}, fetched))
	check(t, Verify(fetched))
	later, err := c.Put(t.Context(), "k", "later")
	check(t, err)
	m.stop()
	before, err := Restore(m.cfg, filepath.Join(dir, names[0]))
	check(t, err)
	if _, err := os.Stat(filepath.Join(before, "member", "wal")); err != nil {
		t.Errorf("the data of before: %v", err)
	}
	m.start(t)
	got, err := m.dial(t).Get(t.Context(), "k")
	if err != nil || string(got.Kvs[0].Value) != "v" || got.Header.Revision <= later.Header.Revision {
		t.Errorf("%v, %v; revision %d came after %d", got, err, got.Header.Revision, later.Header.Revision)
	}
	// Who watched what was lost is told to list again.
	w := <-m.dial(t).Watch(t.Context(), "k", clientv3.WithRev(later.Header.Revision))
	if w.Err() == nil || w.CompactRevision == 0 {
		t.Errorf("a watch from revision %d goes on: %+v", later.Header.Revision, w)
	}
	if _, err := Restore(m.cfg, filepath.Join(dir, "none.db")); err == nil {
		t.Error("restored from nothing")
	}
	if _, err := os.Stat(m.cfg.DataDir); err != nil {
		t.Errorf("a restore that failed took the data: %v", err)
	}
}
