package containerd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// kernel is an AppArmor that has these profiles; nil: it has no AppArmor.
type kernel map[string]bool

func (k kernel) Supported() bool                  { return k != nil }
func (k kernel) LoadDefault(name string) error    { k[name] = true; return nil }
func (k kernel) Loaded(name string) (bool, error) { return k[name], nil }

type brokenKernel struct{ kernel }

func (brokenKernel) LoadDefault(string) error { return errors.New("parser failed") }

// TestAppArmor: who asks for a profile has it, or does not start.
func TestAppArmor(t *testing.T) {
	for _, c := range []struct {
		name       string
		ask        string
		privileged bool
		host       appArmorHost
		want, err  string
	}{
		{"nothing asked", "", false, kernel{}, "gantry-default", ""},
		{"nothing asked, privileged", "", true, kernel{}, "", ""},
		{"nothing asked, no AppArmor", "", false, kernel(nil), "", ""},
		{"the default", container.AppArmorDefault, true, kernel{}, "gantry-default", ""},
		{"the default, no AppArmor", container.AppArmorDefault, false, kernel(nil), "", "apparmor is not supported"},
		{"the default, not loaded", "", false, brokenKernel{kernel{}}, "", "load the default AppArmor profile: parser failed"},
		{"none", container.AppArmorUnconfined, false, kernel{}, "", ""},
		{"none, no AppArmor", container.AppArmorUnconfined, false, kernel(nil), "", ""},
		{"its own", container.AppArmorLocalhost + "mine", true, kernel{"mine": true}, "mine", ""},
		{"its own, not there", container.AppArmorLocalhost + "mine", false, kernel{"other": true}, "", "apparmor profile not found mine"},
		{"its own, of the name for none", container.AppArmorLocalhost + "unconfined", false, kernel{}, "", "apparmor profile not found unconfined"},
		{"its own, of the name for none, listed", container.AppArmorLocalhost + "unconfined", false, kernel{"unconfined": true}, "", "apparmor profile not found unconfined"},
		{"its own, of the default's name", container.AppArmorLocalhost + "runtime/default", false, kernel{}, "", "apparmor profile not found runtime/default"},
		{"its own, empty", container.AppArmorLocalhost, false, kernel{}, "", "apparmor profile not found "},
		{"of no kind", "mine", false, kernel{"mine": true}, "", "unknown AppArmor profile"},
		{"its own, no AppArmor", container.AppArmorLocalhost + "mine", false, kernel(nil), "", "apparmor is not supported"},
	} {
		s := &specs.Spec{Process: &specs.Process{}}
		err := withAppArmor(container.Security{AppArmor: c.ask, Privileged: c.privileged}, c.host)(t.Context(), nil, &containers.Container{}, s)
		if s.Process.ApparmorProfile != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, s.Process.ApparmorProfile, err, c.want, c.err)
		}
	}
}

// TestOnlyThePrivilegedWriteSys: of /sys nothing is writable to others, and nothing that
// is mounted in the server's /sys shows, now or later.
func TestOnlyThePrivilegedWriteSys(t *testing.T) {
	for _, c := range []struct {
		name       string
		net        string
		privileged bool
		sys        string
		cgroup     string
	}{
		{"its own network", "/n", false, "sysfs nosuid,noexec,nodev,ro", "ro"},
		{"its own network, privileged", "/n", true, "sysfs nosuid,noexec,nodev", "rw"},
		{"the host's network", container.HostNamespace, false, "bind nosuid,noexec,nodev,bind,ro,rprivate", "ro"},
		{"the host's network, privileged", container.HostNamespace, true, "bind nosuid,noexec,nodev,rbind,rw", "rw"},
	} {
		s := &specs.Spec{Linux: &specs.Linux{}, Mounts: []specs.Mount{{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}}}}
		spec := container.Spec{Namespaces: container.Namespaces{Net: c.net}, Security: container.Security{Privileged: c.privileged}}
		if err := withMounts(spec)(t.Context(), nil, nil, s); err != nil {
			t.Fatal(err)
		}
		if got := s.Mounts[0].Type + " " + strings.Join(s.Mounts[0].Options, ","); got != c.sys {
			t.Errorf("%s: /sys is %s, want %s", c.name, got, c.sys)
		}
		if !slices.Contains(s.Mounts[1].Options, c.cgroup) {
			t.Errorf("%s: cgroups %v, want %s", c.name, s.Mounts[1].Options, c.cgroup)
		}
	}
}

func TestReadOnlyMounts(t *testing.T) {
	for _, c := range []struct {
		readOnly, recursive bool
		want                string
	}{{false, false, "rw"}, {true, false, "ro"}, {true, true, "rro"}, {false, true, "rw"}} {
		s := &specs.Spec{Linux: &specs.Linux{}}
		m := container.Mount{HostPath: "/h", ContainerPath: "/c", ReadOnly: c.readOnly, RecursiveReadOnly: c.recursive}
		if err := withMounts(container.Spec{Mounts: []container.Mount{m}})(t.Context(), nil, nil, s); err != nil {
			t.Fatal(err)
		}
		if o := s.Mounts[len(s.Mounts)-1].Options; o[0] != "rbind" || o[1] != c.want {
			t.Errorf("%+v: %v", c, o)
		}
	}
}

// TestMaskedPaths: what tells of the server, or acts on it, is hidden or read-only.
func TestMaskedPaths(t *testing.T) {
	s, err := oci.GenerateSpec(withNamespace(t.Context()), nil, &containers.Container{ID: "c"}, oci.WithProcessArgs("x"))
	if err == nil {
		for _, o := range securityOptions(container.Security{SeccompUnconfined: true, AppArmor: container.AppArmorUnconfined}) {
			err = errors.Join(err, o(withNamespace(t.Context()), nil, &containers.Container{ID: "c"}, s))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
		"/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"} {
		if !slices.Contains(s.Linux.MaskedPaths, p) {
			t.Errorf("%s shows", p)
		}
	}
	for _, p := range []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"} {
		if !slices.Contains(s.Linux.ReadonlyPaths, p) {
			t.Errorf("%s is writable", p)
		}
	}
}

// TestAllCapabilities: who is given all has those of the server, not the fewer ones of the
// kubelet's own process.
func TestAllCapabilities(t *testing.T) {
	const hardened = "Name:\tsystemd\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000030001\n"
	if got, err := boundingSet(strings.NewReader(hardened)); err != nil || !slices.Equal(got, []string{"CAP_CHOWN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"}) {
		t.Errorf("the bounding set: %v, %v", got, err)
	}
	every, err := serverCapabilities()
	if err != nil || len(every) == 0 {
		t.Fatal(every, err)
	}
	for what, sec := range map[string]container.Security{
		"privileged": {Privileged: true, AppArmor: container.AppArmorUnconfined},
		"ALL":        {AddCaps: []corev1.Capability{"ALL"}, SeccompUnconfined: true, AppArmor: container.AppArmorUnconfined},
	} {
		s, err := oci.GenerateSpec(withNamespace(t.Context()), nil, &containers.Container{ID: "c"}, oci.WithProcessArgs("x"))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range securityOptions(sec) {
			if err := o(withNamespace(t.Context()), nil, &containers.Container{ID: "c"}, s); err != nil {
				t.Fatal(err)
			}
		}
		if c := s.Process.Capabilities; !slices.Equal(c.Bounding, every) || !slices.Equal(c.Effective, every) || !slices.Equal(c.Permitted, every) {
			t.Errorf("%s: %+v, want %v", what, c, every)
		}
	}
}
