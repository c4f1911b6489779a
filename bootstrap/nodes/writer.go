package nodes

import (
	"context"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Writer makes the changes of Nodes and certificates through the API.
type Writer struct {
	API kubernetes.Interface
	Now func() time.Time
}

var (
	_ step.Nodes        = Writer{}
	_ step.Certificates = Writer{}
)

// Cordon keeps new pods away from the node.
func (w Writer) Cordon(ctx context.Context, node string) (found bool, err error) {
	return drain.Cordon(ctx, w.API, node)
}

// Uncordon undoes it, where it was us.
func (w Writer) Uncordon(ctx context.Context, node string) error {
	return drain.Uncordon(ctx, w.API, node)
}

// Evict moves the pods of the node elsewhere, as kubectl drain does.
func (w Writer) Evict(ctx context.Context, node string, o step.Eviction) error {
	return drain.Drain(ctx, w.API, node, drain.Options{Timeout: o.Timeout, Last: o.Last, Progress: o.Progress})
}

// Delete takes the Node out of the API.
func (w Writer) Delete(ctx context.Context, node string) error {
	return drain.DeleteNode(ctx, w.API, node)
}

// Revoke has the API servers refuse the certificates of the node.
func (w Writer) Revoke(ctx context.Context, node string) error {
	return Revoke(ctx, w.API, node, w.Now())
}
