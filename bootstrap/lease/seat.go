package lease

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// seat is the lease on one master.
type seat struct {
	keeper *Keeper
	spec   spec.Host
	// life ends when the lease is given back.
	life context.Context
	end  context.CancelFunc
	wake chan struct{}

	login sync.Mutex // one at a time

	mu   sync.Mutex
	host host.Host
	// until is when the record may no longer be counted on. That is sooner than it
	// ends on the master, so that work has stopped when another may begin.
	until time.Time
	err   error // of the last try
	// in: the last login succeeded, so err is of what came after it.
	in bool
}

var (
	errNoAnswer = errors.New("it has not answered yet")
	errEnded    = errors.New("its connection ended")
)

func (k *Keeper) newSeat(h spec.Host) *seat {
	s := &seat{keeper: k, spec: h, wake: make(chan struct{}, 1)}
	s.life, s.end = context.WithCancel(context.Background())
	s.err = &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in for the lease", Err: errNoAnswer}
	return s
}

func (s *seat) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until)
}

// failure is why the master does not grant the lease, and whether it was logged in to.
func (s *seat) failure() (err error, in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err, s.in
}

func (s *seat) connection() host.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.host
}

// connect logs in, unless that is done.
func (s *seat) connect() bool {
	s.login.Lock()
	defer s.login.Unlock()
	if s.connection() != nil {
		return true
	}
	h, err := s.keeper.Connect(s.life, s.spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.life.Err() != nil { // given back meanwhile
		h.Close() //nolint:errcheck // nothing was done over it
		err = context.Cause(s.life)
	}
	if s.err, s.in = err, err == nil; err != nil {
		return false
	}
	s.host = h
	go s.guard(h)
	return true
}

// grace is how long a master keeps the record of a holder whose connection has
// ended; the holder itself counts on it for half of that. Of whole seconds.
const grace = 2 * time.Second

// guard runs the process on the master that ends with the connection, and learns
// by its end that the connection has ended.
func (s *seat) guard(h host.Host) {
	c := host.Shell(GuardCommand, guardScript, s.keeper.File, s.keeper.Token, strconv.Itoa(int(grace.Seconds())))
	c.Lasting = true
	_, err := h.Run(s.life, c)
	if errors.Is(err, host.ErrPermission) {
		return // the connection lives, and who takes the lease over it is told the same
	}
	s.lose(h) // otherwise only its end counts
}

// lose gives up a connection that has failed.
func (s *seat) lose(h host.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host != h {
		return
	}
	s.host.Close() //nolint:errcheck // it is of no use any more
	s.host = nil
	if s.err == nil {
		s.err = &host.Error{Kind: host.ErrUnreachable, Host: s.spec.Name, Doing: "keep the lease", Err: errEnded}
	}
	if !time.Now().Before(s.until) {
		return
	}
	if end := time.Now().Add(grace / 2); end.Before(s.until) {
		s.until = end
	}
	select {
	case s.wake <- struct{}{}: // there is little time to come back in
	default:
	}
}

// take takes or renews the lease, over the connection as it is.
func (s *seat) take(ctx context.Context) {
	h := s.connection()
	if h == nil {
		return // connect has said why
	}
	ctx, cancel := context.WithTimeout(ctx, s.keeper.TTL/3)
	defer cancel()
	asked := time.Now()
	err := s.keeper.take(ctx, h)
	var other *HeldError
	s.mu.Lock()
	s.err = err
	switch {
	case err == nil:
		s.until = asked.Add(s.keeper.TTL * 4 / 5)
	case errors.As(err, &other):
		s.until = time.Time{}
	}
	s.mu.Unlock()
	if err != nil && other == nil {
		s.lose(h)
	}
}

// maintain renews the lease, and takes it where it could not be asked for before.
func (s *seat) maintain(ctx context.Context) {
	tick := time.NewTicker(s.keeper.TTL / 7)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
			time.Sleep(grace / 20)
		}
		if s.connect() {
			s.take(ctx)
		}
	}
}

// leave gives the lease on this master back, if it can be asked.
func (s *seat) leave() {
	if h := s.connection(); h != nil {
		if s.holds() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			s.keeper.release(ctx, h) //nolint:errcheck // it ends by itself
			cancel()
		}
		h.Close() //nolint:errcheck // nothing more is asked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	s.host, s.until = nil, time.Time{}
}

// reachTimeout bounds looking for a sign of life.
const reachTimeout = 2 * time.Second

// reaches reports whether this master finds a sign of life of another.
func (s *seat) reaches(ctx context.Context, other spec.Host) bool {
	h := s.connection()
	if h == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	ports := []int{22, spec.APIPort}
	if other.SSH.Port != 0 {
		ports[0] = other.SSH.Port
	}
	alive := make(chan bool, len(ports))
	for _, p := range ports {
		go func() {
			conn, err := h.Dial(ctx, "tcp", net.JoinHostPort(other.IP(), strconv.Itoa(p)))
			if err == nil {
				conn.Close() //nolint:errcheck // nothing was sent
			}
			alive <- err == nil
		}()
	}
	for range ports {
		select {
		case ok := <-alive:
			if ok {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
	return false
}
