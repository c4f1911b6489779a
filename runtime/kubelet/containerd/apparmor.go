package containerd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	profiles "github.com/containerd/containerd/v2/contrib/apparmor"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/apparmor"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// defaultAppArmor is the name of the profile that containers have which ask for none. It
// is loaded when the first of them starts.
const defaultAppArmor = "gantry-default"

// unconfined is the kernel's word for a process without a profile.
const unconfined = "unconfined"

// loadedAppArmor lists the profiles that the kernel has, one a line: "name (mode)".
const loadedAppArmor = "/sys/kernel/security/apparmor/profiles"

// appArmorHost is the kernel's AppArmor.
type appArmorHost interface {
	// Supported says whether profiles are applied and can be loaded.
	Supported() bool
	// LoadDefault loads the default profile under that name, unless it is there.
	LoadDefault(name string) error
	// Loaded says whether a profile of that name is there.
	Loaded(name string) (bool, error)
}

type hostAppArmor struct{}

func (hostAppArmor) Supported() bool               { return apparmor.HostSupports() }
func (hostAppArmor) LoadDefault(name string) error { return profiles.LoadDefaultProfile(name) }

func (hostAppArmor) Loaded(name string) (bool, error) {
	f, err := os.Open(loadedAppArmor)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if have, _, _ := strings.Cut(lines.Text(), " ("); have == name {
			return true, nil
		}
	}
	return false, lines.Err()
}

// withAppArmor confines the process. What asks for a profile that cannot be applied does
// not start: it must not run without it.
func withAppArmor(sec container.Security, host appArmorHost) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		profile := sec.AppArmor
		if profile == "" && !sec.Privileged && host.Supported() {
			profile = container.AppArmorDefault
		}
		if profile == "" || profile == container.AppArmorUnconfined {
			return nil
		}
		if !host.Supported() {
			return errors.New("apparmor is not supported: the kernel has none, or apparmor_parser is missing")
		}
		if profile == container.AppArmorDefault {
			if err := host.LoadDefault(defaultAppArmor); err != nil {
				return fmt.Errorf("load the default AppArmor profile: %w", err)
			}
			s.Process.ApparmorProfile = defaultAppArmor
			return nil
		}
		name, ok := strings.CutPrefix(profile, container.AppArmorLocalhost)
		if !ok {
			return fmt.Errorf("unknown AppArmor profile %q", profile)
		}
		// The kernel takes "unconfined" for no profile, whatever it lists.
		if ok, err := host.Loaded(name); err != nil {
			return fmt.Errorf("look for the AppArmor profile %s: %w", name, err)
		} else if !ok || name == unconfined {
			return fmt.Errorf("apparmor profile not found %s", name)
		}
		s.Process.ApparmorProfile = name
		return nil
	}
}
