package runlock

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// answers is a master that says the same to every command, once the connection's own
// process is told from them; what it dials answers when dials ends.
type answers struct {
	host.Host
	text  string
	taken *atomic.Int32
	dials context.Context
}

func (a answers) Name() string { return "m1" }
func (a answers) Close() error { return nil }

func (a answers) Run(ctx context.Context, c host.Command) ([]byte, error) {
	if c.Lasting {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if a.taken != nil && slices.Contains(c.Argv, TakeCommand) {
		a.taken.Add(1)
	}
	return []byte(a.text), nil
}

func (a answers) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-a.dials.Done()
	return nil, errors.New("no route to host")
}

func TestWhatAMasterAnswers(t *testing.T) {
	t.Parallel()
	held := &HeldError{Host: "m1", Holder: "bob@ci: destroy", Since: time.Unix(1700000000, 0), Silent: 3 * time.Second, TTL: time.Minute}
	for answer, want := range map[string]struct {
		held *HeldError
		err  string
	}{
		"granted\n":                         {},
		"held 3 1700000000 bob@ci: destroy": {held: held},
		"held 3 1700000000":                 {err: `unexpected answer "held 3 1700000000"`},
		"hold 3 1700000000 bob@ci: destroy": {err: "unexpected answer"},
		"":                                  {err: `unexpected answer ""`},
	} {
		r := record{file: File, token: "t", ttl: time.Minute, holder: func() string { return "x" }}
		err := r.take(t.Context(), answers{text: answer})
		var other *HeldError
		switch {
		case want.held != nil:
			if !errors.As(err, &other) || *other != *want.held {
				t.Errorf("%q: %v", answer, err)
			}
		case want.err == "":
			if err != nil {
				t.Errorf("%q: %v", answer, err)
			}
		case err == nil || errors.As(err, &other) || !strings.Contains(err.Error(), want.err):
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestAHolderThatIsSilentIsToldOf(t *testing.T) {
	t.Parallel()
	for silent, want := range map[time.Duration]string{
		7 * time.Second:  "(m1 says so). Nothing was changed",
		8 * time.Second:  "(m1 says so). Nothing was changed",
		9 * time.Second:  "; it has been silent for 9s, and its run lock ends in 7s. Nothing was changed",
		20 * time.Second: "; it has been silent for 20s, and its run lock ends in 0s. Nothing was changed",
	} {
		err := &HeldError{Host: "m1", Holder: "bob", Since: time.Unix(0, 0), Silent: silent, TTL: 16 * time.Second}
		if !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %s", silent, err)
		}
	}
}

// Whom logins are waited for: all for a head start, after which a majority is enough.
func TestWhoIsWaitedFor(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	type login struct {
		after time.Duration
		fails bool
	}
	for name, tc := range map[string]struct {
		logins    []login
		took      time.Duration
		connected int
	}{
		"all at once":                     {[]login{{0, false}, {0, false}, {0, false}}, 0, 3},
		"one within the head start":       {[]login{{0, false}, {0, false}, {headStart / 2, false}}, headStart / 2, 3},
		"one too late":                    {[]login{{0, false}, {0, false}, {never, false}}, headStart, 2},
		"no majority in the head start":   {[]login{{0, false}, {3 * headStart, false}, {never, false}}, 3 * headStart, 2},
		"one fails":                       {[]login{{0, false}, {0, false}, {headStart / 4, true}}, headStart / 4, 2},
		"all fail, the last of them late": {[]login{{0, true}, {0, true}, {2 * headStart, true}}, 2 * headStart, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var grants []*grant
				for _, l := range tc.logins {
					grants = append(grants, newGrant(record{}, func(ctx context.Context, _ spec.Host) (host.Host, error) {
						select {
						case <-time.After(l.after):
						case <-ctx.Done():
							return nil, ctx.Err()
						}
						if l.fails {
							return nil, errors.New("refused")
						}
						return answers{}, nil
					}, spec.Host{}))
				}
				start := time.Now()
				connectAll(t.Context(), grants)
				if took := time.Since(start); took != tc.took {
					t.Errorf("took %s, want %s", took, tc.took)
				}
				connected := 0
				for _, g := range grants {
					if g.connection() != nil {
						connected++
					}
					g.end()
				}
				if connected != tc.connected {
					t.Errorf("%d are connected, want %d", connected, tc.connected)
				}
			})
		})
	}
}

// What the run held once and lost counts for nothing.
func TestALostMasterIsNoVoice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unreachable := func(context.Context, spec.Host) (host.Host, error) {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: "m", Doing: "log in", Err: errors.New("no route to host")}
		}
		k := New(Config{Who: "a", Connect: unreachable})
		k.need = 1
		k.grants["m1"] = newGrant(record{ttl: k.TTL, holder: k.holder}, unreachable, spec.Host{Name: "m1", Address: "m1"})
		var nobody *NobodyError
		if _, _, err := k.Hold(t.Context(), []spec.Host{{Name: "m2", Address: "m2"}}, "x"); !errors.As(err, &nobody) || nobody.LoggedIn || len(nobody.Hosts) != 1 {
			t.Errorf("with a master that was lost and one that cannot be reached: %v", err)
		}
	})
}

func TestAMasterThatIsHeldIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := answers{text: "granted", taken: &atomic.Int32{}}
		k := New(Config{Who: "a", TTL: time.Hour, Connect: func(context.Context, spec.Host) (host.Host, error) { return m, nil }})
		t.Cleanup(k.Close)
		for range 3 {
			if _, _, err := k.Hold(t.Context(), []spec.Host{{Name: "m1", Address: "m1"}}, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if n := m.taken.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
}

// A master that cannot be asked, or that learns nothing in time, has found no sign of life.
func TestNoSignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGrant(record{}, nil, spec.Host{Name: "m1"})
		other := spec.Host{Name: "m2", Address: "192.0.2.2"}
		if g.reaches(t.Context(), other) {
			t.Error("found without a connection")
		}
		dials, release := context.WithCancel(context.Background())
		t.Cleanup(release)
		g.host = answers{dials: dials}
		ended, end := context.WithCancel(t.Context())
		end()
		if g.reaches(ended, other) {
			t.Error("found though nothing answered")
		}
		release()
		if g.reaches(t.Context(), other) {
			t.Error("found though both ports failed")
		}
	})
}

// seen is a master that notes what it dials, and reaches one address.
type seen struct {
	answers
	reached string
	mu      *sync.Mutex
	dialed  *[]string
}

func (s seen) Dial(_ context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.dialed = append(*s.dialed, address)
	if address != s.reached {
		return nil, errors.New("no route to host")
	}
	near, far := net.Pipe()
	far.Close() // nothing is sent
	return near, nil
}

func TestWhereASignOfLifeIsLookedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			port    int
			reached string
			want    []string // nil: one was reached before all were tried
		}{
			"SSH":               {0, "192.0.2.2:22", nil},
			"SSH elsewhere":     {2222, "192.0.2.2:2222", nil},
			"the API":           {2222, "192.0.2.2:6443", nil},
			"nothing":           {0, "", []string{"192.0.2.2:22", "192.0.2.2:6443"}},
			"nothing elsewhere": {2222, "192.0.2.2:22", []string{"192.0.2.2:2222", "192.0.2.2:6443"}},
		} {
			var mu sync.Mutex
			var dialed []string
			other := spec.Host{Name: "m2", Address: "192.0.2.2"}
			other.SSH.Port = tc.port
			g := newGrant(record{}, nil, spec.Host{Name: "m1"})
			g.host = seen{reached: tc.reached, mu: &mu, dialed: &dialed}
			if got := g.reaches(t.Context(), other); got != (tc.want == nil) {
				t.Errorf("%s: %v", name, got)
			}
			mu.Lock()
			if slices.Sort(dialed); tc.want != nil && !slices.Equal(dialed, tc.want) {
				t.Errorf("%s: dialed %q", name, dialed)
			}
			mu.Unlock()
		}
	})
}
