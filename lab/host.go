package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// User is the unprivileged account of every host; it may sudo without a
// password. The lab's key opens it, and root too.
const User = "admin"

const (
	// bootTimeout bounds the time from power-on to a working sshd, which is some seconds
	// on a quick machine.
	bootTimeout = 3 * time.Minute
	// shutdownTimeout is longer than systemd waits for a service (90 s) and then for
	// what it kills (90 s again).
	shutdownTimeout = 6 * time.Minute
)

// Host is one bare server.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// HostKey is sshd's public key, in authorized_keys form.
	HostKey string `json:"host_key"`
	// Memory is its limit in bytes, 0 for none.
	Memory int64 `json:"memory,omitempty"`
	// Disk is the size of its own file system in bytes, 0 of a virtual machine.
	Disk int64 `json:"disk,omitempty"`
	// Virtual: it is a virtual machine.
	Virtual bool `json:"virtual,omitempty"`
	// Release is what it runs, empty for the machine's own.
	Release string `json:"release,omitempty"`

	lab *Lab
	// lastPort is the bridge port that it had when it was on.
	lastPort atomic.Pointer[string]
}

func (h *Host) dir() string  { return filepath.Join(h.lab.dir(), h.Name) }
func (h *Host) root() string { return filepath.Join(h.dir(), "root") }

// machine is the host's name towards nspawn; unique among labs.
func (h *Host) machine() string { return fmt.Sprintf("lab%d-%s", h.lab.Index, h.Name) }

// ConsoleFile is what the host printed: its boot, and what its kernel said since
// where it has one of its own.
func (h *Host) ConsoleFile() string { return filepath.Join(h.dir(), "console.log") }

// install makes the host's root file system, with its own identity in it.
func (h *Host) install(ctx context.Context) error {
	of, err := findRelease(h.Release)
	if err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	if !h.Virtual {
		if err := of.bootable(); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	image, err := ensureImage(ctx, of, h.recipe())
	if err != nil {
		return err
	}
	if err := h.mountRoot(ctx, image); err != nil {
		return fmt.Errorf("host %s: make its root file system: %w", h.Name, err)
	}
	public, err := os.ReadFile(h.lab.KeyFile() + ".pub")
	if err != nil {
		return err
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	files := map[string]string{
		"etc/machine-id":                         hex.EncodeToString(id) + "\n",
		"etc/hostname":                           h.Name + "\n",
		"etc/hosts":                              "127.0.0.1 localhost\n127.0.1.1 " + h.Name + "\n",
		"root/.ssh/authorized_keys":              string(public),
		"home/" + User + "/.ssh/authorized_keys": string(public),
	}
	network, settings := h.network(of)
	files[network] = settings
	for name, content := range files {
		path := filepath.Join(h.root(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Dir(filepath.Join(h.root(), network)), 0o755); err != nil {
		return err
	}
	if _, err := run(ctx, "chroot", h.root(), "chown", "-R", User+":"+User, "/home/"+User); err != nil {
		return err
	}
	key := filepath.Join(h.root(), "etc/ssh/ssh_host_ed25519_key")
	if _, err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", h.Name, "-f", key); err != nil {
		return fmt.Errorf("host %s: make its host key: %w", h.Name, err)
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		return err
	}
	f := strings.Fields(string(pub))
	h.HostKey = f[0] + " " + f[1]
	if h.Virtual {
		return h.makeDisk(ctx, image)
	}
	return nil
}

// network is the file that gives the host its address, as its distribution does.
func (h *Host) network(of release) (file, settings string) {
	if of.distribution == "ubuntu" {
		return "etc/netplan/50-host0.yaml", fmt.Sprintf("network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    host0:\n      addresses: [%s/24]\n      link-local: []\n      accept-ra: false\n", h.Address)
	}
	return "etc/systemd/network/10-host0.network", fmt.Sprintf("[Match]\nName=host0\n\n[Network]\nAddress=%s/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n", h.Address)
}

func (h *Host) recipe() recipe {
	if h.Virtual {
		return virtualRecipe
	}
	return containerRecipe
}

// Boot switches the host on and waits for its sshd. It does nothing to a host
// that runs.
func (h *Host) Boot(ctx context.Context) error {
	if _, err := h.leader(); err == nil {
		return nil
	}
	groups, err := h.makeCgroups()
	if err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	console, err := os.OpenFile(h.ConsoleFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer console.Close()
	power, timeout := h.container, bootTimeout
	if h.Virtual {
		power, timeout = h.virtualMachine, virtualBootTimeout
	}
	argv, err := power()
	if err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	// The shell moves itself into the host's cgroups, and only then becomes
	// nspawn: the host sees a cgroup namespace that begins there.
	script := `for d in ` + strings.Join(groups, " ") + `; do echo $$ > "$d/cgroup.procs" || exit 1; done; exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, argv...)...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("host %s: boot: %w", h.Name, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	return h.waitSSH(ctx, timeout, exited)
}

// container is the command that boots the host beside this machine's kernel.
func (h *Host) container() ([]string, error) {
	return []string{
		"systemd-nspawn", "--keep-unit", "--register=no", "--boot", "--quiet",
		"--directory=" + h.root(), "--machine=" + h.machine(), "--hostname=" + h.Name,
		"--network-bridge=" + h.lab.bridge(), "--capability=all", "--system-call-filter=@known", "--console=pipe",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
	}, nil
}

// waitSSH waits for the SSH banner, the console's end or the time-out.
func (h *Host) waitSSH(ctx context.Context, timeout time.Duration, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		if h.sshAnswers(ctx) {
			return nil
		}
		select {
		case err := <-exited:
			return fmt.Errorf("host %s ended while it booted (%v); its console:\n%s", h.Name, err, h.ConsoleTail())
		case <-ctx.Done():
			return fmt.Errorf("host %s: no sshd on %s after boot: %w; its console:\n%s", h.Name, h.Address, ctx.Err(), h.ConsoleTail())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (h *Host) sshAnswers(ctx context.Context) bool {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(h.Address, "22"))
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck // the read fails then
	banner := make([]byte, 4)
	n, _ := conn.Read(banner)
	return string(banner[:n]) == "SSH-"
}

// ConsoleTail is the end of what the host printed, 16 kB at most.
func (h *Host) ConsoleTail() string {
	b, _ := os.ReadFile(h.ConsoleFile())
	return string(b[max(0, len(b)-16_000):])
}

// PowerCut takes the host's power: every process dies at once, nothing is told. So
// its cable goes first: the kernel ends the connections of those that die for them.
// What it had written but not synced stays, as the page cache is the machine's.
func (h *Host) PowerCut(ctx context.Context) error {
	port, portErr := h.port()
	if portErr == nil {
		if err := setLink(port, false); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
			return fmt.Errorf("host %s: pull its cable: %w", h.Name, err)
		}
	}
	if err := killCgroups(ctx, h.lab.Name, h.Name); err != nil {
		return fmt.Errorf("host %s: cut its power: %w", h.Name, err)
	}
	if portErr != nil {
		return nil //nolint:nilerr // it was off already
	}
	return removeLink(port)
}

// Shutdown stops the host in order, as its power button would.
func (h *Host) Shutdown(ctx context.Context) error {
	pid, err := h.leader()
	if err != nil {
		return nil // it is off
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if _, err := h.Run(ctx, "systemctl poweroff --no-block"); err != nil {
		return err
	}
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s does not shut down: %w", h.Name, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return h.PowerCut(ctx) // what outlived its init, and the cgroups
}

// Reboot shuts the host down in order and boots it.
func (h *Host) Reboot(ctx context.Context) error {
	if err := h.Shutdown(ctx); err != nil {
		return err
	}
	return h.Boot(ctx)
}

// Run executes a shell command as root inside the host, without going by SSH,
// so that it works on a host that the network does not reach; in a virtual
// machine by SSH. It returns standard output; an error holds standard error too.
func (h *Host) Run(ctx context.Context, command string) ([]byte, error) {
	pid, err := h.leader()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w",
		"/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C"}
	if h.Virtual {
		cmd = h.SSH(ctx, command)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("host %s: %s: %w\n%s%s", h.Name, command, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// SSH is the command ssh to the host as root, with further arguments. It ends when
// the host has said nothing for 30 s: also the one whose kernel stands still.
func (h *Host) SSH(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", slices.Concat([]string{"-i", h.lab.KeyFile(), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@" + h.Address}, args)...)
}

// NetNS is the path of the host's network namespace, to do from there what a host has
// no tool for.
func (h *Host) NetNS() (string, error) {
	pid, err := h.leader()
	if err == nil && h.Virtual {
		err = fmt.Errorf("host %s is a virtual machine: its network is not of this kernel", h.Name)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid), nil
}

// Running says whether the host is on.
func (h *Host) Running() bool {
	_, err := h.leader()
	return err == nil
}

var errOff = errors.New("is switched off")

// leader finds the host's init: the process in its cgroups that is PID 1 of its
// own PID namespace. Of a virtual machine it is the emulator.
func (h *Host) leader() (int, error) {
	for _, pid := range pidsIn(h.lab.Name, h.Name) {
		if h.Virtual {
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(comm), "qemu-system") {
				return pid, nil
			}
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "NSpid:" && f[2] == "1" {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("host %s %w", h.Name, errOff)
}
