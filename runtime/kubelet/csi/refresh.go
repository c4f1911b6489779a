package csi

import (
	"context"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/utils/ptr"
)

// Refresh brings a volume that is mounted up to date: its driver is told of the pod again
// where it asked for that, and a volume that was given more room grows.
func (v *Volumes) Refresh(ctx context.Context, m Mount) error {
	v.mu.Lock()
	r, ok := v.published[m.Dir]
	staging := v.staged[r.key()].Staging
	v.mu.Unlock()
	if !ok || !r.Published {
		return nil
	}
	c := call{Mount: m, volume: m.volume()}
	var err error
	if c.of, err = v.drivers.get(c.driver); err != nil {
		return err
	}
	if c.object, err = (objects{api: v.cfg.API}).driver(ctx, c.driver); err != nil {
		return err
	}
	again := c.object != nil && ptr.Deref(c.object.Spec.RequiresRepublish, false)
	if !again && !grows(m) {
		return nil
	}
	if c.can, err = c.of.capabilities(ctx); err != nil {
		return err
	}
	defer v.locks.lock(c.key())()
	if again {
		if c.persistent != nil && r.Attach {
			if c.context, err = v.attached(ctx, c); err != nil {
				return err
			}
		}
		req, err := v.publishRequest(ctx, c, r, staging)
		if err != nil {
			return err
		}
		// The pod has what was published; whatever becomes of this, it keeps it.
		err = c.of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
			_, err := node.NodePublishVolume(ctx, req)
			return err
		})
		if err != nil {
			return err
		}
	}
	return v.expand(ctx, c, staging, r.Target)
}
