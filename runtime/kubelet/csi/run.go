package csi

import (
	"context"
)

// Run unstages volumes that no pod has any more, until ctx is done.
func (v *Volumes) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, v.orphans.ShutDown)()
	for {
		k, ended := v.orphans.Get()
		if ended {
			return
		}
		switch err := v.unstage(ctx, k); {
		case err == nil:
			v.orphans.Forget(k)
		case ctx.Err() == nil:
			v.cfg.Log.Warn("a volume that no pod has is still staged, will retry", "volume", k, "error", err)
			v.orphans.AddRateLimited(k)
		}
		v.orphans.Done(k)
	}
}
