package volume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// csi are volumes of drivers. None can register with this node: such a pod waits, as it does
// anywhere until the driver that it names has registered.
type csi struct{}

func (csi) Name() string                   { return "csi" }
func (csi) Supports(v *corev1.Volume) bool { return v.CSI != nil }
func (csi) Traits() Traits                 { return Traits{} }
func (csi) TearDown(string) error          { return nil }

// SetUp says which driver is missing, in upstream's words.
func (csi) SetUp(_ context.Context, m Mounting) error { return noDriver(m.Volume) }

// Open implements Plugin.
func (csi) Open(v *corev1.Volume, _ string) (container.Volume, error) {
	return container.Volume{}, noDriver(v)
}

func noDriver(v *corev1.Volume) error {
	return fmt.Errorf("driver name %s not found in the list of registered CSI drivers", v.CSI.Driver)
}
