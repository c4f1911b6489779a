package admit

import (
	"context"

	"k8s.io/utils/ptr"
)

// UserNamespaces rejects pods that want users of their own where the node cannot give
// them: they must not run as the server's.
type UserNamespaces struct {
	// Unsupported is why it cannot; nil: it can.
	Unsupported error
}

// Admit implements Handler.
func (h UserNamespaces) Admit(_ context.Context, a Attributes) *Rejection {
	if h.Unsupported == nil || ptr.Deref(a.Pod.Spec.HostUsers, true) {
		return nil
	}
	return &Rejection{"UserNamespacesNotSupported", "can't set `spec.hostUsers: false`, runtime does not support user namespaces: " + h.Unsupported.Error()}
}
