package dns

import (
	"fmt"
	"os"
	"syscall"

	"github.com/gantry-run/gantry/runtime/config"
)

// Prepare does as root what the server, which is not, needs done before it starts: it
// gives the node the cluster DNS address, and the group of a directory that belongs to
// the server's account the keys that the configuration names.
func Prepare(cfg config.DNSConfig, dir string) error {
	if err := holdAddress(cfg.Addresses.V4()); err != nil {
		return err
	}
	return lendKeys(dir, cfg.Client.KeyFile, cfg.Health.KeyFile)
}

// lendKeys lets the group of dir read the files, which stay root's. The account is not
// the same after each start, so that a group of an earlier one is replaced.
func lendKeys(dir string, files ...string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("see whose keys of cluster DNS are: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: the system does not say whose it is", dir)
	}
	for _, f := range files {
		if err := os.Chown(f, -1, int(owner.Gid)); err != nil {
			return fmt.Errorf("let cluster DNS read its key: %w", err)
		}
		if err := os.Chmod(f, 0o640); err != nil {
			return fmt.Errorf("let cluster DNS read its key: %w", err)
		}
	}
	return nil
}
