package dns

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestKeysAreLentToTheGroupOfADirectory(t *testing.T) {
	dir := t.TempDir()
	gid := os.Getgid()
	if os.Getuid() == 0 { // who may give a file any group
		gid = 61184
		if err := os.Chown(dir, 61184, gid); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := lendKeys(dir, key, key); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	owner, was := info.Sys().(*syscall.Stat_t), before.Sys().(*syscall.Stat_t)
	if info.Mode() != fs.FileMode(0o640) || int(owner.Gid) != gid || owner.Uid != was.Uid {
		t.Errorf("the key has mode %v, user %d, group %d; want group %d alone to read it", info.Mode(), owner.Uid, owner.Gid, gid)
	}
	for _, missing := range [][2]string{{filepath.Join(dir, "none"), key}, {dir, filepath.Join(dir, "none")}} {
		if err := lendKeys(missing[0], missing[1]); err == nil {
			t.Errorf("%s, %s: no error", missing[0], missing[1])
		}
	}
}
