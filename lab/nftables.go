package lab

import (
	"fmt"
	"os"

	"github.com/google/nftables"
)

// Nftables has do read or change what a host's kernel filters by, which a host has no
// tool for. What do changes, it flushes.
func Nftables(h *Host, do func(*nftables.Conn) error) error {
	path, err := h.NetNS()
	if err != nil {
		return err
	}
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("host %s: open its network namespace: %w", h.Name, err)
	}
	defer ns.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		return fmt.Errorf("host %s: open its nftables: %w", h.Name, err)
	}
	if err := do(c); err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	return nil
}
