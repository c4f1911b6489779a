package network

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// ipv6Conf has a directory of settings for each link, on kernels with IPv6.
const ipv6Conf = "/proc/sys/net/ipv6/conf"

// refuseAdvertisements makes the host deaf to what a pod says about routers: a pod may
// send raw packets by default, and the kernel would make it the host's IPv6 gateway.
func refuseAdvertisements(conf, link string) error {
	err := ensureSysctl(filepath.Join(conf, link, "accept_ra"), "0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv6, no advertisements
	}
	return err
}
