package lab

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

// A virtual host is a virtual machine on the lab's bridge. It has a kernel of its
// own, boots with cgroup v2 alone, and a power cut loses what it had not synced.
// The emulator computes each instruction (TCG): that works on any machine, also
// inside another virtual machine, at a tenth of the speed. It does so with one CPU
// and in one thread: with several, QEMU before 8.1 may go on executing code that the
// guest's kernel has patched meanwhile (its first CPU limit does that), and then the
// guest stands still for ever. Where KVM works, GANTRY_LAB_ACCEL=kvm makes it as fast
// as the machine.

var virtualTools = map[string]string{"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs"}

// What mediates programs in such a host is its own kernel, with AppArmor as a fresh
// installation has it.
var virtualRecipe = recipe{packages: map[string]string{
	"": packages + ",initramfs-tools,apparmor", "debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual," + ubuntuPackages,
}}

const (
	tunDevice          = "/dev/net/tun"
	virtualBootTimeout = 15 * time.Minute
	virtualMemory      = 2 << 30
	// virtualDisk is what the host believes to have; only what it writes is stored.
	virtualDisk = "16G"
)

func (h *Host) disk() string { return filepath.Join(h.dir(), "disk.img") }

// tap is the host's port in the bridge.
func (h *Host) tap() string { return fmt.Sprintf("%s%d-%d", tapPrefix, h.lab.Index, h.number()) }

// number is the last byte of its address: unique in the lab.
func (h *Host) number() byte { return netip.MustParseAddr(h.Address).As4()[3] }

// makeDisk turns the root file system into a disk, beside the kernel that boots it.
func (h *Host) makeDisk(ctx context.Context, image string) error {
	// Its only link gets the name that it has in every host.
	link := filepath.Join(h.root(), "etc/systemd/network/10-host0.link")
	if err := os.WriteFile(link, []byte("[Match]\nDriver=virtio_net\n\n[Link]\nName=host0\n"), 0o644); err != nil {
		return err
	}
	if _, err := run(ctx, "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", h.root(), h.disk(), virtualDisk); err != nil {
		return fmt.Errorf("host %s: make its disk: %w", h.Name, err)
	}
	for _, f := range []string{"vmlinuz", "initrd.img"} {
		found, _ := filepath.Glob(filepath.Join(image, "boot", f+"-*"))
		if len(found) != 1 {
			return fmt.Errorf("host %s: %d files match %s in %s/boot: one was expected", h.Name, len(found), f, image)
		}
		if err := os.Symlink(found[0], filepath.Join(h.dir(), f)); err != nil {
			return err
		}
	}
	if err := unmountBelow(h.dir()); err != nil {
		return err
	}
	for _, d := range []string{"root", "upper", "work", "var-lib"} {
		if err := os.RemoveAll(filepath.Join(h.dir(), d)); err != nil {
			return err
		}
	}
	return nil
}

// virtualMachine plugs in the host's port and returns the command that boots it.
func (h *Host) virtualMachine() ([]string, error) {
	if err := removeLink(h.tap()); err != nil {
		return nil, err
	}
	bridge, err := netlink.LinkByName(h.lab.bridge())
	if err != nil {
		return nil, fmt.Errorf("find bridge %s: %w", h.lab.bridge(), err)
	}
	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: h.tap(), MasterIndex: bridge.Attrs().Index}, Mode: netlink.TUNTAP_MODE_TAP}
	if err := netlink.LinkAdd(tap); err != nil {
		return nil, fmt.Errorf("make link %s: %w", h.tap(), err)
	}
	if err := netlink.LinkSetUp(tap); err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(h.dir(), name) }
	return []string{
		"qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-accel", cmp.Or(os.Getenv("GANTRY_LAB_ACCEL"), "tcg,thread=single"),
		"-smp", "1", "-m", strconv.FormatInt(cmp.Or(h.Memory, virtualMemory)>>20, 10),
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", file("vmlinuz"), "-initrd", file("initrd.img"), "-append", "root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0 systemd.unified_cgroup_hierarchy=1",
		"-drive", "if=virtio,format=raw,cache=writeback,file=" + h.disk(),
		"-netdev", "tap,id=host0,script=no,downscript=no,ifname=" + h.tap(),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=host0,mac=52:54:00:00:%02x:%02x", h.lab.Index, h.number()),
		"-device", "virtio-rng-pci",
	}, nil
}
