package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// keyed is a host that shows a key.
type keyed struct {
	host.Host
	closed atomic.Bool
}

func (*keyed) HostKey() string { return "shown" }
func (k *keyed) Close() error  { k.closed.Store(true); return nil }

var errAway = errors.New("no route to host")

func config() Config {
	return Config{Now: time.Now, Events: func(step.Event) {}, Connect: func(_ context.Context, h spec.Host) (host.Host, error) {
		if strings.HasPrefix(h.Name, "away") {
			return nil, errAway
		}
		return &keyed{}, nil
	}}
}

func hosts(names ...string) []spec.Host {
	var out []spec.Host
	for _, n := range names {
		out = append(out, spec.Host{Name: n, Address: "192.0.2.1"})
	}
	return out
}

func TestAFleetIsItsHostsByNameAndHowTheyAnswer(t *testing.T) {
	f, other := ConnectBoth(t.Context(), config(), hosts("b", "away", "a", "a"), hosts("c"))
	if !slices.Equal(f.Order, []string{"a", "away", "b"}) || !slices.Equal(other.Order, []string{"c"}) {
		t.Errorf("order %v, %v", f.Order, other.Order)
	}
	if s := f.Members["a"].Status; s.State != Pending || s.HostKey != "shown" || s.Err != nil {
		t.Errorf("one that answers: %+v", s)
	}
	if m := f.Members["away"]; m.Status.State != Unknown || !errors.Is(m.Status.Err, errAway) || m.Status.Message != errAway.Error() || m.Host != nil {
		t.Errorf("one that does not: %+v", m)
	}
	var reached []string
	for _, m := range f.Reached("b") {
		reached = append(reached, m.Spec.Name)
	}
	if !slices.Equal(reached, []string{"a"}) || !errors.Is(f.Err(), errAway) {
		t.Errorf("reached %v, failed %v", reached, f.Err())
	}

	failed := errors.New("failed")
	var mu sync.Mutex
	var worked []string
	f.Each(t.Context(), []string{"a", "away", "b", "nobody"}, func(_ context.Context, m *Member) error {
		mu.Lock()
		defer mu.Unlock()
		if worked = append(worked, m.Spec.Name); m.Spec.Name == "b" {
			return failed
		}
		return nil
	})
	if slices.Sort(worked); !slices.Equal(worked, []string{"a", "b"}) {
		t.Errorf("worked on %v", worked)
	}
	for state, want := range map[State][]string{Ready: {"a"}, Pending: {"b"}, Unknown: {"away"}, Gone: {}} {
		if got := f.In(state); !slices.Equal(got, want) {
			t.Errorf("%s are %v", state, got)
		}
	}

	other.Warn("it %s", "rains")
	other.Members["c"].Status.State = Gone
	f.Include(other)
	f.Only = []string{"a", "b", "c"}
	r := f.Report()
	if len(r.Hosts) != 3 || r.Hosts["c"].State != Gone || !slices.Equal(r.Warnings, []string{"it rains"}) {
		t.Errorf("report %+v", r)
	}
	if got := r.Failed(); len(got) != 1 || !errors.Is(got["b"], failed) {
		t.Errorf("failed are %v", got)
	}
	f.Close()
	if !f.Members["a"].Host.(*keyed).closed.Load() {
		t.Error("a connection is left")
	}
}

func TestAnIncludedFleetTakesNobodysName(t *testing.T) {
	f, old := ConnectBoth(t.Context(), config(), hosts("a"), hosts("a", "b"))
	old.Members["a"].Status.State, old.Members["b"].Status.State = Gone, Gone
	f.Include(old)
	if r := f.Report(); r.Hosts["a"].State != Pending || r.Hosts["b"].State != Gone {
		t.Errorf("report %+v", r.Hosts)
	}
}

func TestAMemberKeepsWhatCameOfIt(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		before State
		err    error
		want   Status
	}{
		"done":         {Pending, nil, Status{State: Ready}},
		"wiped":        {Gone, nil, Status{State: Gone, Message: "why", Err: errAway}},
		"failed":       {Ready, failed, Status{State: Pending, Message: "failed", Err: failed}},
		"failed, gone": {Gone, failed, Status{State: Pending, Message: "failed", Err: failed}},
	} {
		m := &Member{Status: Status{State: tc.before, Message: "why", Err: errAway}}
		if m.Settle(tc.err); m.Status != tc.want {
			t.Errorf("%s: %+v", name, m.Status)
		}
	}
	if r := (Report{Hosts: map[string]Status{"a": {State: Absent, Message: "bare"}, "b": {State: Ready}, "c": {State: Gone}}}); len(r.Failed()) != 1 || r.Failed()["a"].Error() != "host a is absent: bare" {
		t.Errorf("failed are %v", r.Failed())
	}
}

func TestManyHostsAreWorkedOnAtATime(t *testing.T) {
	for _, tc := range []struct{ parallelism, hosts, want int }{
		{0, 1, 10}, {0, 80, 10}, {0, 88, 11}, {0, 512, 64}, {0, 5000, 64}, {3, 5000, 3}, {1, 1, 1},
	} {
		if got := (Config{Parallelism: tc.parallelism}).width(tc.hosts); got != tc.want {
			t.Errorf("of %d hosts %d at a time, want %d", tc.hosts, got, tc.want)
		}
	}
}

func TestHostsByName(t *testing.T) {
	all := hosts("a", "b", "c")
	if got := Names(Pick(all, []string{"c", "a", "x"})); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("picked %v", got)
	}
	if got := Names(Except(all, []string{"b", "x"})); !slices.Equal(got, []string{"a", "c"}) || len(all) != 3 {
		t.Errorf("the others are %v of %v", got, Names(all))
	}
}

func TestWhatIsWaitedForIsToldAsAStep(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		err  error
		want []step.State
	}{
		"it came": {nil, []step.State{step.Began, step.Done}},
		"not":     {failed, []step.State{step.Began, step.Failed}},
	} {
		c := config()
		var told []step.State
		c.Events = func(e step.Event) {
			if e.Host != "w1 (192.0.2.1)" || e.Step != "wait" || (e.Err != nil) != (e.State == step.Failed) {
				t.Errorf("%s: %+v", name, e)
			}
			told = append(told, e.State)
		}
		err := c.Wait(&Member{Spec: spec.Host{Name: "w1", Address: "192.0.2.1"}}, "wait", func() error { return tc.err })
		var said *step.Error
		if !slices.Equal(told, tc.want) || !errors.Is(err, tc.err) || errors.As(err, &said) != (tc.err != nil) {
			t.Errorf("%s: %v, %v", name, told, err)
		}
	}
}
