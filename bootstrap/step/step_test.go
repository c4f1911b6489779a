package step

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Only what is left of a step is pending, and a step with nothing left is gone.
func TestWhatIsPending(t *testing.T) {
	seen := Seen{Files: map[string]host.FileInfo{"/there": {}}}
	steps := []Step{
		{Name: "done", Changes: []Change{Remove{Paths: []string{"/gone"}}}},
		{Name: "half", Changes: []Change{Remove{Paths: []string{"/gone"}}, Remove{Paths: []string{"/there"}}}},
		{Name: "always", Changes: []Change{Command{Name: "run"}}},
	}
	var got []string
	for _, s := range Pending(seen, steps) {
		for _, c := range s.Changes {
			got = append(got, s.Name+": "+c.String())
		}
	}
	if want := []string{"half: remove /there", "always: run: "}; !slices.Equal(got, want) {
		t.Errorf("pending are %q", got)
	}
	if got := Pending(seen, steps[:1]); len(got) != 0 {
		t.Errorf("of a step that is done %d are left", len(got))
	}
}

func TestACommandIsDoneWhereItsCheckSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		check func(Seen) bool
		want  bool
	}{
		"without a check": {nil, false},
		"it is so":        {func(Seen) bool { return true }, true},
		"it is not":       {func(Seen) bool { return false }, false},
	} {
		if got := (Command{Check: tc.check}).Done(Seen{}); got != tc.want {
			t.Errorf("%s: done %t", name, got)
		}
	}
}

// failing is a host on which commands fail.
type failing struct {
	host.Host
	err error
}

func (h failing) Name() string                                      { return "w1" }
func (h failing) Run(context.Context, host.Command) ([]byte, error) { return nil, h.err }

func TestACommandThatMayFail(t *testing.T) {
	said, lost := &host.CommandError{Status: 1}, errors.New("connection lost")
	for name, tc := range map[string]struct {
		optional bool
		err      error
		ok       bool
	}{
		"it works":                  {false, nil, true},
		"it fails":                  {false, said, false},
		"it may fail":               {true, said, true},
		"the connection may not be": {true, lost, false},
	} {
		c := Command{Name: "x", Optional: tc.optional}
		if err := c.Apply(t.Context(), failing{err: tc.err}, Seen{}); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		// What fails is told of the host by its name.
		err := Runner{Now: time.Now}.Run(t.Context(), failing{err: tc.err}, Seen{}, []Step{{Name: "s", Changes: []Change{c}}})
		var at *Error
		if errors.As(err, &at) == tc.ok || at != nil && (at.Host != "w1" || at.Step != "s") {
			t.Errorf("%s: run says %v", name, err)
		}
	}
}

func TestUnitsAsSystemdHasThem(t *testing.T) {
	want := Units{Units: []Unit{{Name: "a.service", Inputs: "1"}}}
	for name, tc := range map[string]struct {
		state UnitState
		says  string // empty: it is done
	}{
		"as it should be":  {UnitState{Loaded: true, Active: "active", Enabled: true, Mark: "1"}, ""},
		"it is missing":    {UnitState{}, "a.service is missing"},
		"it has failed":    {UnitState{Loaded: true, Active: "failed", Enabled: true, Mark: "1"}, "a.service is failed"},
		"it is disabled":   {UnitState{Loaded: true, Active: "active", Mark: "1"}, "a.service is not enabled"},
		"it has old input": {UnitState{Loaded: true, Active: "active", Enabled: true, Mark: "0"}, "a.service runs with an older configuration"},
	} {
		seen := Seen{Units: map[string]UnitState{"a.service": tc.state}}
		got := want.Differing(seen)
		if want.Done(seen) != (tc.says == "") || tc.says == "" && len(got) > 0 || tc.says != "" && !slices.Equal(got, []string{tc.says}) {
			t.Errorf("%s: done %t, %q", name, want.Done(seen), got)
		}
		stopped := tc.state.Active == "" && !tc.state.Enabled
		if got := (Stop{Units: []string{"a.service"}}).Done(seen); got != stopped {
			t.Errorf("%s: stopped %t", name, got)
		}
	}
}

func TestFilesThatSystemdReads(t *testing.T) {
	f := File{Path: "/u", Data: []byte("x"), Mode: 0o644}
	files := Files{Files: []File{f}, Reload: true, Units: []string{"u"}}
	there := map[string]host.FileInfo{"/u": {Mode: 0o644, SHA256: f.SHA256()}}
	for name, tc := range map[string]struct {
		seen Seen
		want bool
	}{
		"as they should be": {Seen{Files: there, Units: map[string]UnitState{"u": {Loaded: true}}}, true},
		"not read again":    {Seen{Files: there, Units: map[string]UnitState{"u": {Loaded: true, NeedsReload: true}}}, false},
		"never read":        {Seen{Files: there}, false},
		"another mode":      {Seen{Files: map[string]host.FileInfo{"/u": {Mode: 0o600, SHA256: f.SHA256()}}, Units: map[string]UnitState{"u": {Loaded: true}}}, false},
		"other content":     {Seen{Files: map[string]host.FileInfo{"/u": {Mode: 0o644}}, Units: map[string]UnitState{"u": {Loaded: true}}}, false},
		"missing":           {Seen{Units: map[string]UnitState{"u": {Loaded: true}}}, false},
	} {
		if got := files.Done(tc.seen); got != tc.want {
			t.Errorf("%s: done %t", name, got)
		}
	}
}
