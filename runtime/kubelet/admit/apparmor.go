package admit

import (
	"context"

	"github.com/gantry-run/gantry/runtime/pod"
)

// AppArmor rejects pods that ask for a profile where the kernel has no AppArmor: they
// must not run without it.
type AppArmor struct{ Enabled bool }

// Admit implements Handler.
func (h AppArmor) Admit(_ context.Context, a Attributes) *Rejection {
	if h.Enabled || !pod.WantsAppArmor(a.Pod) {
		return nil
	}
	return &Rejection{"AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"}
}
