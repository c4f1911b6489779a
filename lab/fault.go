package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Loss is what does not arrive of what one host sends to another.
type Loss struct {
	From, To string
	Percent  uint32
}

// Lose drops packets between hosts, each way by itself, until Partition or Lose is
// called again. This machine's own way to them stays as it is.
func (l *Lab) Lose(losses ...Loss) error {
	table := partitionTable(fmt.Sprint(l.Index))
	if err := dropTable(table); err != nil || len(losses) == 0 {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.AddTable(table)
	chain := forward(c, table)
	for _, loss := range losses {
		rule := &nftables.Rule{Table: table, Chain: chain}
		for _, end := range []struct {
			key  expr.MetaKey
			name string
		}{{expr.MetaKeyIIFNAME, loss.From}, {expr.MetaKeyOIFNAME, loss.To}} {
			h, err := l.Host(end.name)
			if err != nil {
				return err
			}
			port, err := h.portName()
			if err != nil {
				return err
			}
			rule.Exprs = append(rule.Exprs, &expr.Meta{Key: end.key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: linkName(port)})
		}
		if loss.Percent < 100 {
			rule.Exprs = append(rule.Exprs, &expr.Numgen{Register: 1, Modulus: 100, Type: 1 /* random */},
				&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
				&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.BigEndian.PutUint32(loss.Percent)})
		}
		rule.Exprs = append(rule.Exprs, &expr.Verdict{Kind: expr.VerdictDrop})
		c.AddRule(rule)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("lose packets in lab %s: %w", l.Name, err)
	}
	return nil
}

func forward(c *nftables.Conn, table *nftables.Table) *nftables.Chain {
	return c.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
}

// SetRate bounds what the host sends and what it is sent, in bytes a second each;
// what is more waits for half a second, and then is dropped. Zero lifts it.
func (h *Host) SetRate(ctx context.Context, bytesPerSecond uint64) error {
	name, err := h.port()
	if err != nil {
		return err
	}
	port, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("host %s: find its bridge port: %w", h.Name, err)
	}
	const burst = 1 << 16
	bucket := &netlink.Tbf{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate: bytesPerSecond, Limit: uint32(bytesPerSecond/2 + burst)}
	if bytesPerSecond == 0 {
		bucket.Handle = 0
		err = netlink.QdiscDel(bucket)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EINVAL) {
			err = nil // there was none
		}
		_, inside := h.Run(ctx, "tc qdisc del dev host0 root 2>/dev/null; true")
		return errors.Join(err, inside)
	}
	bucket.Buffer = netlink.Xmittime(bytesPerSecond, burst)
	if err := netlink.QdiscReplace(bucket); err != nil {
		return fmt.Errorf("host %s: bound what it is sent: %w", h.Name, err)
	}
	_, err = h.Run(ctx, fmt.Sprintf("tc qdisc replace dev host0 root tbf rate %dbps burst %d latency 500ms", bytesPerSecond, burst))
	return err
}

// Pause stops every process of the host where it is, as a hypervisor does that moves
// a machine: its clock and its network go on without it.
func (h *Host) Pause(ctx context.Context) error {
	return setFrozen(ctx, true, h.lab.Name, h.Name)
}

// Resume lets a paused host go on.
func (h *Host) Resume(ctx context.Context) error {
	return setFrozen(ctx, false, h.lab.Name, h.Name)
}

// setFrozen stops the processes of a lab or a host, or lets them go on.
func setFrozen(ctx context.Context, frozen bool, path ...string) error {
	group, file, value := groupDir(filepath.Join(cgroupMount, "freezer"), path...), "freezer.state", "THAWED"
	if frozen {
		value = "FROZEN"
	}
	if isV2() {
		group, file, value = groupDir(cgroupMount, path...), "cgroup.freeze", "0"
		if frozen {
			value = "1"
		}
	}
	var errs []error
	filepath.WalkDir(group, func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // what vanishes is gone
		}
		if err := os.WriteFile(filepath.Join(p, file), []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			errs = append(errs, err)
		}
		if frozen {
			return fs.SkipAll // the groups below are stopped with it
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("set %s to %s: %w", file, value, err)
	}
	if !frozen {
		return nil
	}
	for isFrozen := false; !isFrozen && !isV2(); {
		state, err := os.ReadFile(filepath.Join(group, file))
		if err != nil {
			return err
		}
		if isFrozen = string(state) == "FROZEN\n"; !isFrozen {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not stop: %w", group, ctx.Err())
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

// fillScript leaves so many bytes of the disk. The file system keeps some for
// itself, which the end of the second file meets.
const fillScript = `free=$(( $(stat -f -c '%%a * %%S' /var/lib) - %d ))
[ $free -le 0 ] || fallocate -l $free /var/lib/full
[ %[1]d -gt 0 ] || dd if=/dev/zero of=/var/lib/full.rest bs=4k 2>/dev/null
true
`

// FillScript is a shell script that leaves so many bytes of the disk it runs on.
func FillScript(left int) string { return fmt.Sprintf(fillScript, left) }

// FillDisk fills the host's disk to the last byte.
func (h *Host) FillDisk(ctx context.Context) error {
	if h.Disk == 0 {
		return fmt.Errorf("host %s is a virtual machine: its disk is not of this kernel", h.Name)
	}
	_, err := h.Run(ctx, FillScript(0))
	return err
}

// EmptyDisk gives the host's disk the room back that FillDisk took.
func (h *Host) EmptyDisk(ctx context.Context) error {
	_, err := h.Run(ctx, "rm -f /var/lib/full*")
	return err
}

// SetDiskRate bounds how fast what the host syncs comes to its disk, in bytes a
// second. Zero lifts it.
func (h *Host) SetDiskRate(bytesPerSecond uint64) error {
	if h.Disk == 0 {
		return fmt.Errorf("host %s is a virtual machine: its disk is not of this kernel", h.Name)
	}
	var disk unix.Stat_t
	if err := unix.Stat(filepath.Join(h.dir(), "disk"), &disk); err != nil {
		return err
	}
	device := fmt.Sprintf("%d:%d", unix.Major(disk.Dev), unix.Minor(disk.Dev))
	group, file, value := groupDir(filepath.Join(cgroupMount, "blkio"), h.lab.Name, h.Name), "blkio.throttle.write_bps_device", fmt.Sprint(bytesPerSecond)
	if isV2() {
		group, file, value = groupDir(cgroupMount, h.lab.Name, h.Name), "io.max", "wbps="+value
		if bytesPerSecond == 0 {
			value = "wbps=max"
		}
	}
	var errs []error
	// With version 1 a bound is of a group alone, and not of those below it.
	filepath.WalkDir(group, func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // what vanishes is gone
		}
		if err := os.WriteFile(filepath.Join(p, file), []byte(device+" "+value), 0); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			errs = append(errs, err)
		}
		if isV2() {
			return fs.SkipAll
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("host %s: bound the rate of its disk: %w", h.Name, err)
	}
	return nil
}
