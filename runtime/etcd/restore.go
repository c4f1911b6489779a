package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/runtime/config"
)

// revisionsAhead is by how much revisions go on above those of the snapshot. Whoever
// watched the store that was lost has seen later ones than the snapshot has, and must not
// meet them again with another content: it is more than a store writes between two
// snapshots, by far.
const revisionsAhead = 1_000_000_000

// Restore makes the data directory of a member of a snapshot: the first member of a
// cluster of one, which others join. The member of before is forgotten, and a data
// directory that is there is kept beside the new one, whose path is returned ("" where
// there was none).
func Restore(cfg config.EtcdConfig, file string) (before string, err error) {
	if err := Verify(file); err != nil {
		return "", fmt.Errorf("restore the store: %w", err)
	}
	next := cfg.DataDir + ".restored"
	if err := os.RemoveAll(next); err != nil { // of a restore that was cut
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.DataDir), 0o755); err != nil {
		return "", err
	}
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, Name: cfg.Name, OutputDataDir: next, PeerURLs: []string{cfg.InitialCluster[cfg.Name]},
		InitialCluster:      initialCluster(map[string]string{cfg.Name: cfg.InitialCluster[cfg.Name]}),
		InitialClusterToken: cfg.InitialClusterToken, RevisionBump: revisionsAhead, MarkCompacted: true,
	})
	if err != nil {
		return "", fmt.Errorf("restore the store from %s: %w", file, err)
	}
	if before, err = setAside(cfg.DataDir); err != nil {
		return "", err
	}
	if err := Forget(cfg.DataDir + config.EtcdMemberSuffix); err != nil {
		return before, fmt.Errorf("forget the member of before: %w", err)
	}
	if err := os.Rename(next, cfg.DataDir); err != nil {
		return before, err
	}
	return before, syncDir(filepath.Dir(cfg.DataDir))
}

// setAside moves a directory that holds something out of the way.
func setAside(dir string) (to string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(entries) == 0 {
		return "", os.Remove(dir)
	}
	for i := 1; ; i++ {
		to = fmt.Sprintf("%s.before-%d", dir, i)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return to, os.Rename(dir, to)
		}
	}
}
