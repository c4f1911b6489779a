package step

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// recorder is a host that takes down what is asked of it.
type recorder struct {
	host.Host
	did []string
}

func (r *recorder) Run(_ context.Context, c host.Command) ([]byte, error) {
	r.did = append(r.did, strings.Join(c.Argv[3:], " "))
	return nil, nil
}

func (r *recorder) WriteFiles(_ context.Context, files ...host.File) error {
	for _, f := range files {
		r.did = append(r.did, "write "+f.Path)
	}
	return nil
}

func (r *recorder) Stat(_ context.Context, paths ...string) (map[string]host.FileInfo, error) {
	r.did = append(r.did, "stat "+strings.Join(paths, " "))
	return map[string]host.FileInfo{}, nil
}

func TestDirectoriesThatAreMissingAreMade(t *testing.T) {
	dirs := Dirs{{"/a", 0o755}, {"/b", 0o700}, {"/c", 0o711}, {"/d", 0o755}}
	seen := Seen{Files: map[string]host.FileInfo{
		"/a": {Mode: fs.ModeDir | 0o755}, "/b": {Mode: fs.ModeDir | 0o755}, "/c": {Mode: 0o711}, // another mode, and a file
	}}
	if got := dirs.Differing(seen); !slices.Equal(got, []string{"/b", "/c", "/d"}) || dirs.Done(seen) {
		t.Errorf("%v differ, done %t", got, dirs.Done(seen))
	}
	if !dirs[:1].Done(seen) {
		t.Error("one that is as it should be is not done")
	}
	var h recorder
	if err := dirs.Apply(t.Context(), &h, seen); err != nil || !slices.Equal(h.did, []string{"make-dirs 0700 /b 0711 /c 0755 /d"}) {
		t.Errorf("%q, %v", h.did, err)
	}
}

func TestFilesThatDifferAreWritten(t *testing.T) {
	a, b, c := File{Path: "/a", Data: []byte("1"), Mode: 0o600}, File{Path: "/b", Data: []byte("2"), Mode: 0o600}, File{Path: "/c", Mode: 0o600}
	seen := Seen{Files: map[string]host.FileInfo{"/a": {Mode: 0o600, SHA256: a.SHA256()}, "/b": {Mode: 0o600, SHA256: a.SHA256()}}}
	f := Files{Files: []File{a, b, c}}
	if got := f.Differing(seen); !slices.Equal(got, []string{"/b", "/c"}) {
		t.Errorf("%v differ", got)
	}
	var h recorder
	if err := f.Apply(t.Context(), &h, seen); err != nil || !slices.Equal(h.did, []string{"write /b", "write /c"}) {
		t.Errorf("%q, %v", h.did, err)
	}
	f.Reload, f.Units, h.did = true, []string{"x.service"}, nil
	if err := f.Apply(t.Context(), &h, seen); err != nil || !slices.Equal(h.did, []string{"write /b", "write /c", "load-units x.service"}) {
		t.Errorf("%q, %v", h.did, err)
	}
}

// Nothing is asked of a host where nothing is watched, or is to be done.
func TestNoMoreIsAskedThanMustBe(t *testing.T) {
	var h recorder
	if _, err := Observe(t.Context(), &h, []Step{{Changes: []Change{Command{Name: "x"}}}}); err != nil || len(h.did) > 0 {
		t.Errorf("%q, %v", h.did, err)
	}
	if _, err := Observe(t.Context(), &h, []Step{
		{Changes: []Change{Remove{Paths: []string{"/a", "/b"}}}}, {Changes: []Change{Remove{Paths: []string{"/b", "/c"}}, Remove{Paths: []string{"/a"}}}},
	}); err != nil || !slices.Equal(h.did, []string{"stat /a /b /c"}) {
		t.Errorf("%q, %v", h.did, err)
	}
	h.did = nil
	ready := UnitState{Loaded: true, Active: "active", Enabled: true, Mark: "1"}
	units := Units{Units: []Unit{{Name: "a", Inputs: "1"}, {Name: "b", Inputs: "2"}}, Timeout: time.Minute}
	if err := (Units{Units: units.Units[:1]}).Apply(t.Context(), &h, Seen{Units: map[string]UnitState{"a": ready}}); err != nil || len(h.did) > 0 {
		t.Errorf("%q, %v", h.did, err)
	}
	if err := units.Apply(t.Context(), &h, Seen{Units: map[string]UnitState{"a": ready}}); err != nil || !slices.Equal(h.did, []string{"start-units 60 b", "mark-units " + marksDir + " b 2"}) {
		t.Errorf("%q, %v", h.did, err)
	}
}

// What is done without a host is told by the title of the run, and by a host's name
// where it has none.
func TestWhoseStepItIs(t *testing.T) {
	for _, tc := range []struct {
		title string
		h     host.Host
		want  string
	}{{"cluster demo", failing{}, "cluster demo"}, {"cluster demo", nil, "cluster demo"}, {"", failing{}, "w1"}, {"", nil, ""}} {
		if got := (Runner{Title: tc.title}).title(tc.h); got != tc.want {
			t.Errorf("%q of %v: %q", tc.title, tc.h, got)
		}
	}
}
