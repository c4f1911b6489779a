package ssh

import (
	"context"
	"fmt"
	"sync"
)

// Dial connects and logs in, through the jump hosts where the Config has some.
// Errors are of the kinds host.ErrUnreachable, host.ErrAuth,
// host.ErrHostKeyChanged and host.ErrHostKeyUnknown, also where it is a jump host that they are about.
func Dial(ctx context.Context, cfg Config, t Target) (*Host, error) {
	if cfg.Jumps == nil {
		return login(ctx, cfg, t, nil)
	}
	jump, release, err := cfg.Jumps.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s (%s): %w", t.Name, t.Address, err)
	}
	h, err := login(ctx, cfg, t, jump)
	if err != nil {
		release()
		return nil, err
	}
	h.leave = sync.OnceFunc(func() {
		h.client.Close() // nothing is in flight any more
		release()
	})
	return h, nil
}
