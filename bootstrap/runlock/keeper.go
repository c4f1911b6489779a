package runlock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Config is what a Keeper works with.
type Config struct {
	// Connect logs in to a master: connections of its own, since an upload must not
	// keep a renewal waiting.
	Connect func(ctx context.Context, h spec.Host) (host.Host, error)
	// Who is shown to the one that is refused: user, machine, process.
	Who string
	// Wait is how long another holder is waited for (default: not at all).
	Wait time.Duration
	// TTL is how long a record that is not renewed counts (default 15 s, in seconds).
	TTL time.Duration
	// Token tells this run from any other (default: random).
	Token string
	// File is the record on masters (default [File]).
	File string
}

// Keeper holds the run lock of a run, from its first Hold to Close or the end of the
// process: all operations of one run share it, and nobody comes between two.
type Keeper struct {
	Config

	acquire sync.Mutex // one Hold at a time takes

	mu     sync.Mutex
	grants map[string]*grant // by address
	need   int               // how many of them must be held
	doing  string
	held   map[int]context.CancelCauseFunc // operations that go on
	next   int
	stop   context.CancelFunc
	life   context.Context
	loops  sync.WaitGroup
	grace  time.Duration // [grace], but in tests on a machine that may be slow
}

// NewToken returns a token that no other run has.
func NewToken() string {
	var id [12]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// New returns a keeper that holds nothing yet.
func New(c Config) *Keeper {
	if c.TTL <= 0 {
		c.TTL = 15 * time.Second
	}
	if c.Token == "" {
		c.Token = NewToken()
	}
	if c.File == "" {
		c.File = File
	}
	return &Keeper{Config: c, grants: map[string]*grant{}, held: map[int]context.CancelCauseFunc{}, grace: grace}
}

// Hold takes the run lock of the cluster with these masters, or shares it where the
// run has it already. The context it returns ends when the run lock is lost; done
// ends the operation, not the run lock.
func (k *Keeper) Hold(ctx context.Context, masters []spec.Host, doing string) (_ context.Context, done func(), err error) {
	k.acquire.Lock()
	defer k.acquire.Unlock()
	deadline := time.Now().Add(k.Wait)
	for {
		if err = k.obtain(ctx, masters, doing); err == nil {
			break
		}
		var other *HeldError
		if !errors.As(err, &other) || !time.Now().Before(deadline) {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, errors.Join(err, context.Cause(ctx))
		case <-time.After(300*time.Millisecond + mrand.N(200*time.Millisecond)):
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	id := k.next
	k.next++
	k.held[id] = cancel
	return ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.held, id)
		cancel(nil)
	}, nil
}

// obtain asks all masters that the run does not hold yet.
func (k *Keeper) obtain(ctx context.Context, masters []spec.Host, doing string) error {
	k.mu.Lock()
	k.doing = doing
	if k.life == nil {
		k.life, k.stop = context.WithCancel(context.Background())
	}
	var asked []*grant
	for _, h := range masters {
		s := k.grants[h.Address]
		if s == nil {
			s = newGrant(record{file: k.File, token: k.Token, ttl: k.TTL, grace: k.grace, holder: k.holder}, k.Connect, h)
		}
		if !s.holds() && !slices.Contains(asked, s) {
			asked = append(asked, s)
		}
	}
	k.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	err := k.ask(ctx, asked)
	fresh := slices.DeleteFunc(slices.Clone(asked), func(s *grant) bool { return k.grants[s.spec.Address] != nil })
	if err != nil {
		each(fresh, func(s *grant) { s.leave() })
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range fresh {
		k.grants[s.spec.Address] = s
	}
	granted := 0
	for _, s := range k.grants {
		if s.holds() {
			granted++
		}
	}
	k.need = min(granted, majority(len(k.grants)))
	life := k.life
	for _, s := range fresh {
		k.loops.Go(func() { s.maintain(life) })
	}
	if len(fresh) == len(k.grants) {
		k.loops.Go(func() { k.judge(life) })
	}
	return nil
}

func majority(n int) int { return n/2 + 1 }

// headStart is how long a majority waits for the others to answer.
const headStart = time.Second

// connectAll logs in to all, or to a majority: a master that does not answer costs
// headStart, not a time-out. It is asked when it answers.
func connectAll(ctx context.Context, asked []*grant) {
	results := make(chan bool, len(asked))
	for _, s := range asked {
		go func() { results <- s.connect() }()
	}
	late := time.NewTimer(headStart)
	defer late.Stop()
	connected, ended, waited := 0, 0, false
	for ended < len(asked) && !(waited && connected >= majority(len(asked))) {
		select {
		case ok := <-results:
			ended++
			if ok {
				connected++
			}
		case <-late.C:
			waited = true
		case <-ctx.Done():
			return
		}
	}
}

// ask takes the run lock of the masters, of which all that can be asked must agree. One
// that does not grant it, for whatever reason, may have granted it to somebody else.
// The first one's answer is waited for, so that of two runs that ask at the same
// time one is refused everywhere.
func (k *Keeper) ask(ctx context.Context, asked []*grant) error {
	connectAll(ctx, asked)
	slices.SortFunc(asked, func(a, b *grant) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	rest := slices.Clone(asked)
	for len(rest) > 0 {
		first := rest[0]
		rest = rest[1:]
		if first.take(ctx); first.holds() {
			break
		}
	}
	each(rest, func(s *grant) { s.take(ctx) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	nobody := &NobodyError{Hosts: map[string]error{}}
	var granted, silent []*grant
	for _, s := range asked {
		if s.holds() {
			granted = append(granted, s)
			continue
		}
		err, in := s.failure()
		var other *HeldError
		if errors.As(err, &other) {
			return err
		}
		silent = append(silent, s)
		nobody.Hosts[s.spec.Name], nobody.LoggedIn = err, nobody.LoggedIn || in
	}
	k.mu.Lock()
	var before []*grant
	for _, s := range k.grants {
		if s.holds() && !slices.Contains(asked, s) {
			before = append(before, s)
		}
	}
	all, enough := len(asked)+len(before), len(before) > 0 && len(before) >= k.need
	k.mu.Unlock()
	granted = append(granted, before...)
	if len(granted) == 0 {
		return nobody
	}
	if enough || len(granted) >= majority(all) {
		return nil // a run that has the run lock already has nobody beside it
	}
	return k.alone(ctx, granted, silent)
}

// alone decides where fewer than a majority agree, as the rest is silent. Whoever
// else is at work holds those, then. So they must be dead to the masters that
// answer too, and long enough for their holder to have noticed.
func (k *Keeper) alone(ctx context.Context, granted, silent []*grant) error {
	for _, s := range silent {
		if sign := signOfLife(ctx, s, granted); sign != "" {
			err, _ := s.failure()
			return fmt.Errorf("master %s cannot be asked whether another run is at work, but it lives: %s. "+
				"With fewer than %d of %d masters that agree, nothing is changed. Mend what follows, or switch it off if it is to be given up: %w", s.spec.Name, sign,
				majority(len(granted)+len(silent)), len(granted)+len(silent), err)
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(k.TTL):
	}
	each(granted, func(s *grant) { s.take(ctx) })
	for _, s := range granted {
		if err, _ := s.failure(); err != nil {
			return err
		}
	}
	return nil
}

// signOfLife is what shows that a master lives which did not grant the run lock; empty
// where nothing does.
func signOfLife(ctx context.Context, s *grant, granted []*grant) string {
	if err, in := s.failure(); in || !errors.Is(err, host.ErrUnreachable) {
		return "it answers SSH"
	}
	for _, g := range granted {
		if g.reaches(ctx, s.spec) {
			return g.spec.Name + " reaches it"
		}
	}
	return ""
}

// judge ends the operations once too few masters renew the run lock: well before a
// master lets another run in, be it by age or after the grace.
func (k *Keeper) judge(ctx context.Context) {
	tick := time.NewTicker(min(k.TTL/15, k.grace/10))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		holding := 0
		var why []error
		for _, s := range k.grants {
			if s.holds() {
				holding++
			} else {
				err, _ := s.failure()
				why = append(why, err)
			}
		}
		if holding < k.need {
			for _, cancel := range k.held {
				cancel(&LostError{errors.Join(why...)})
			}
		}
		k.mu.Unlock()
	}
}

// holder is what the record says of this run.
func (k *Keeper) holder() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Who + ": " + k.doing
}

// Close releases the run lock.
func (k *Keeper) Close() {
	k.acquire.Lock()
	defer k.acquire.Unlock()
	k.mu.Lock()
	grants := k.grants
	k.grants, k.need = map[string]*grant{}, math.MinInt
	stop := k.stop
	k.life, k.stop = nil, nil
	k.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	k.loops.Wait()
	var all []*grant
	for _, s := range grants {
		all = append(all, s)
	}
	each(all, func(s *grant) { s.leave() })
}

func each(grants []*grant, do func(*grant)) {
	var wg sync.WaitGroup
	for _, s := range grants {
		wg.Go(func() { do(s) })
	}
	wg.Wait()
}
