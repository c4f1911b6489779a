package etcd

import (
	"fmt"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// onDisk is what a data directory holds.
type onDisk struct {
	ClusterID, MemberID string
	// Index is the last entry of the log, Term the last term that the member was in.
	Index, Term uint64
}

// readDisk reads the log of a data directory; nil when there is none. It is read as etcd
// reads it at its start, from the last snapshot on.
func readDisk(dataDir string) (*onDisk, error) {
	dir := filepath.Join(dataDir, "member", "wal")
	if !wal.Exist(dir) {
		return nil, nil
	}
	log := zap.NewNop()
	snaps, err := wal.ValidSnapshotEntries(log, dir)
	if err != nil {
		return nil, fmt.Errorf("read the member's log in %s: %w", dir, err)
	}
	from := &walpb.Snapshot{}
	if len(snaps) > 0 {
		from = snaps[len(snaps)-1]
	}
	w, err := wal.OpenForRead(log, dir, from)
	if err != nil {
		return nil, fmt.Errorf("read the member's log in %s: %w", dir, err)
	}
	defer w.Close() // it is only read
	meta, state, entries, err := w.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the member's log in %s: %w", dir, err)
	}
	of := &etcdserverpb.Metadata{}
	if err := proto.Unmarshal(meta, of); err != nil {
		return nil, fmt.Errorf("read whose log is in %s: %w", dir, err)
	}
	d := &onDisk{ClusterID: types.ID(of.GetClusterID()).String(), MemberID: types.ID(of.GetNodeID()).String(), Index: from.GetIndex(), Term: state.GetTerm()}
	if n := len(entries); n > 0 {
		d.Index = entries[n-1].GetIndex()
	}
	return d, nil
}
