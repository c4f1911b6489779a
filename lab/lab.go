package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
)

// baseDir holds images and labs. It must not lie on an overlay: containerd's
// snapshots inside a host could not be mounted.
const baseDir = "/var/lib/gantry-lab"

// maxLabs bounds the subnets: lab n has 10.231.n.0/24.
const maxLabs = 250

// Lab is a set of hosts on one bridge.
type Lab struct {
	Name  string  `json:"name"`
	Index int     `json:"index"`
	Hosts []*Host `json:"hosts"`
	// Release and Releases are those of Options.
	Release  string            `json:"release,omitempty"`
	Releases map[string]string `json:"releases,omitempty"`

	// owner is the descriptor of its owner's lock, in the process that started it.
	owner int
}

// Options describes a lab to start.
type Options struct {
	// Name is the lab's directory and bridge; a lab of that name is stopped first.
	Name string
	// Hosts are the servers' names.
	Hosts []string
	// Virtual are the names of further servers, each a virtual machine: slower, with
	// a kernel of its own and cgroup v2 whatever this machine has.
	Virtual []string
	// MemoryBytes limits each host's memory; 0 is unlimited.
	MemoryBytes int64
	// Release is the code name of what the servers run ("noble", "trixie"); empty is
	// what the machine runs. Releases are those of particular servers, by name; also
	// of servers that are added later.
	Release  string
	Releases map[string]string
	// DiskBytes is the size of each host's own file system, for all that it writes; of
	// virtual machines it is another. 0 is 16 GiB.
	DiskBytes int64
	// Keep has the lab stay when the process that starts it has ended: [Sweep] leaves it.
	Keep bool
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

var machineID = regexp.MustCompile(`^[0-9a-f]{32}\n?$`)

// Check says what this machine lacks for a lab.
func Check() error { return check(tools) }

// tools are the programs that a lab runs, and the packages they come in.
var tools = map[string]string{
	"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "ssh-keygen": "openssh-client", "ssh": "openssh-client",
	"nsenter": "util-linux", "tar": "tar", "cp": "coreutils", "mkfs.ext4": "e2fsprogs", "mount": "mount",
}

func check(tools map[string]string) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("the lab needs root: it boots servers with systemd-nspawn and makes bridges and cgroups (run it with sudo)"))
	}
	for _, tool := range slices.Sorted(maps.Keys(tools)) {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, fmt.Errorf("%s is not installed (apt-get install %s)", tool, tools[tool]))
		}
	}
	if id, err := os.ReadFile("/etc/machine-id"); err != nil || !machineID.Match(id) {
		errs = append(errs, errors.New("this machine has no machine-id, from which systemd-nspawn makes addresses of links (run systemd-machine-id-setup)"))
	}
	return errors.Join(errs...)
}

// Start stops what is left of a lab of that name, which no other process may have, then
// boots its hosts and waits until each one's sshd answers. On an error nothing is left running.
func Start(ctx context.Context, o Options) (*Lab, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	if len(o.Virtual) > 0 {
		if err := check(virtualTools); err != nil {
			return nil, err
		}
		if _, err := os.Stat(tunDevice); err != nil {
			return nil, fmt.Errorf("a virtual machine's link is made by %s (modprobe tun; a container has to be given it): %w", tunDevice, err)
		}
	}
	for _, n := range slices.Concat([]string{o.Name}, o.Hosts, o.Virtual) {
		if !nameRule.MatchString(n) {
			return nil, fmt.Errorf("%q is no name for a lab or a host: lower-case letters, digits and hyphens, at most 32", n)
		}
	}
	if n := len(o.Hosts) + len(o.Virtual); n == 0 || n > 200 {
		return nil, fmt.Errorf("a lab has 1 to 200 hosts, not %d", n)
	}
	if err := free(o.Name); err != nil {
		return nil, err
	}
	if err := Stop(ctx, o.Name); err != nil {
		return nil, err
	}
	l, err := reserve(o.Name)
	if err != nil {
		return nil, err
	}
	if err := l.start(ctx, o); err != nil {
		cleanup, cancel := cleanupContext(ctx)
		defer cancel()
		return nil, errors.Join(err, Stop(cleanup, o.Name))
	}
	if o.Keep {
		return l, keep(l.dir())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, o Options) error {
	l.Release, l.Releases = o.Release, o.Releases
	if err := allowInotify(); err != nil {
		return err
	}
	if err := l.makeBridge(); err != nil {
		return err
	}
	if err := l.makeKey(ctx); err != nil {
		return err
	}
	for i, name := range slices.Concat(o.Hosts, o.Virtual) {
		h := &Host{Name: name, Address: l.address(11 + i).String(), Memory: o.MemoryBytes, Virtual: i >= len(o.Hosts), Release: l.releaseOf(name), lab: l}
		if !h.Virtual {
			h.Disk = cmp.Or(o.DiskBytes, defaultDisk)
		}
		l.Hosts = append(l.Hosts, h)
	}
	return l.each(func(h *Host) error {
		if err := h.install(ctx); err != nil {
			return err
		}
		return h.Boot(ctx)
	}, l.save)
}

// Add boots one more host.
func (l *Lab) Add(ctx context.Context, name string) (*Host, error) {
	if !nameRule.MatchString(name) || l.find(name) != nil {
		return nil, fmt.Errorf("lab %s: %q is taken, or no name for a host", l.Name, name)
	}
	last := 10
	for _, h := range l.Hosts {
		last = max(last, int(netip.MustParseAddr(h.Address).As4()[3]))
	}
	h := &Host{Name: name, Address: l.address(last + 1).String(), Disk: defaultDisk, Release: l.releaseOf(name), lab: l}
	l.Hosts = append(l.Hosts, h)
	if err := h.install(ctx); err != nil {
		return nil, err
	}
	if err := h.Boot(ctx); err != nil {
		return nil, err
	}
	return h, l.save()
}

// Replace boots another bare server with the name and the address of a host: what was
// on its disk is gone, and its host key is another one.
func (l *Lab) Replace(ctx context.Context, name string) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	if err := h.PowerCut(ctx); err != nil {
		return err
	}
	if err := takeAway(ctx, h.dir()); err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir(), 0o755); err != nil {
		return err
	}
	if err := h.install(ctx); err != nil {
		return err
	}
	if err := h.Boot(ctx); err != nil {
		return err
	}
	return l.save()
}

func (l *Lab) releaseOf(host string) string { return cmp.Or(l.Releases[host], l.Release) }

// Open finds a lab that was started before.
func Open(name string) (*Lab, error) {
	data, err := os.ReadFile(filepath.Join(labDir(name), "lab.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no lab %q: start it first", name)
	}
	if err != nil {
		return nil, err
	}
	l := &Lab{}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("lab %s: %w", name, err)
	}
	for _, h := range l.Hosts {
		h.lab = l
	}
	return l, nil
}

// List returns the labs that exist, running or not.
func List() ([]*Lab, error) {
	entries, err := os.ReadDir(filepath.Join(baseDir, "labs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []*Lab
	for _, e := range entries {
		if l, err := Open(e.Name()); err == nil {
			out = append(out, l)
		}
	}
	return out, nil
}

// Host finds a host by name.
func (l *Lab) Host(name string) (*Host, error) {
	if h := l.find(name); h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("lab %s has no host %q", l.Name, name)
}

func (l *Lab) find(name string) *Host {
	i := slices.IndexFunc(l.Hosts, func(h *Host) bool { return h.Name == name })
	if i < 0 {
		return nil
	}
	return l.Hosts[i]
}

func labDir(name string) string { return filepath.Join(baseDir, "labs", name) }
func (l *Lab) dir() string      { return labDir(l.Name) }
func (l *Lab) KeyFile() string  { return filepath.Join(l.dir(), "id_ed25519") }
func (l *Lab) bridge() string   { return fmt.Sprintf("%s%d", bridgePrefix, l.Index) }

// Gateway is this machine's address on a lab's bridge.
func Gateway(l *Lab) netip.Addr { return l.address(1) }

func (l *Lab) address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 231, byte(l.Index), byte(n)})
}

func (l *Lab) save() error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir(), "lab.json")
	if err := os.WriteFile(path+".tmp", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// each runs f on every host at once, then the rest one after another.
func (l *Lab) each(f func(*Host) error, then ...func() error) error {
	errs := make([]error, len(l.Hosts))
	var wg sync.WaitGroup
	for i, h := range l.Hosts {
		wg.Go(func() { errs[i] = f(h) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, f := range then {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
