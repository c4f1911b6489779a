package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestWhichMemberMayNotStart(t *testing.T) {
	own := record{ClusterID: "c", MemberID: "m", Index: 100, Term: 5}
	at := func(index, term uint64) *onDisk {
		return &onDisk{ClusterID: "c", MemberID: "m", Index: index, Term: term}
	}
	told := func(index, term uint64) []record { return []record{{}, {Index: index, Term: term}} }
	for what, tc := range map[string]struct {
		own    *record
		joined bool
		disk   *onDisk
		told   []record
		want   string
	}{
		"a new server":                                {nil, false, nil, nil, ""},
		"a member that was upgraded":                  {nil, true, at(100, 5), nil, ""},
		"a join that was cut":                         {nil, false, at(1, 1), nil, ""},
		"a restart":                                   {&own, true, at(100, 5), told(100, 5), ""},
		"a restart, with more in the log":             {&own, true, at(120, 6), told(110, 5), ""},
		"an empty directory":                          {&own, true, nil, nil, "is empty, but this server is member m of the cluster and held its log up to entry 100"},
		"an empty directory, before the join's end":   {&own, false, nil, nil, "is empty, but"},
		"all that was beside the data is lost too":    {nil, true, nil, nil, "is empty, but this server was a member"},
		"an older log":                                {&own, true, at(99, 5), nil, "ends at entry 99 (term 5), but this server had come to entry 100 (term 5)"},
		"an older vote":                               {&own, true, at(100, 4), nil, "ends at entry 100 (term 4), but this server had"},
		"the data of another member":                  {&own, true, &onDisk{ClusterID: "c", MemberID: "x", Index: 200, Term: 9}, nil, "is that of member x of cluster c, but this server is member m of cluster c"},
		"the data of another cluster":                 {&own, true, &onDisk{ClusterID: "x", MemberID: "m", Index: 200, Term: 9}, nil, "is that of member m of cluster x"},
		"the whole disk is older, by an entry":        {&own, true, at(100, 5), told(101, 5), "the other members know of this one at entry 101 (term 5)"},
		"the whole disk is older, by a term":          {&own, true, at(100, 5), told(100, 6), "the other members know of this one at entry 100 (term 6)"},
		"the whole disk is older than the first note": {nil, true, at(50, 5), told(60, 5), "the other members know"},
	} {
		err := refusal("/data", tc.own, tc.joined, tc.disk, tc.told)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "/data") || !strings.Contains(err.Error(), "terraform apply") {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
}

// refuses runs a member that must not start and returns why it is not ready.
func (m *member) refuses(t *testing.T) string {
	t.Helper()
	s, err := New(m.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	retry(t, "refuse", func(context.Context) error {
		if s.refused.Load() == nil {
			return fmt.Errorf("not refused yet: %w", s.Ready())
		}
		return nil
	})
	why := s.Ready()
	cancel()
	if err := <-done; err != nil || why == nil {
		t.Fatalf("%v, %v", err, why)
	}
	said, err := os.ReadFile(filepath.Join(m.cfg.DataDir+config.EtcdMemberSuffix, RefusedFile))
	if err != nil || strings.TrimSpace(string(said)) != why.Error() {
		t.Errorf("for the plan it says %q (%v), and it is not ready because of %v", said, err, why)
	}
	if _, err := os.Stat(filepath.Join(m.cfg.DataDir, "member")); err == nil && strings.Contains(why.Error(), "is empty") {
		t.Error("it made itself a data directory")
	}
	return why.Error()
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	check(t, os.RemoveAll(to))
	check(t, os.CopyFS(to, os.DirFS(from)))
}

// TestAMemberWithLessThanItHadDoesNotStart walks through what becomes of disks: emptied,
// and restored from an image, with and without what is beside the data.
func TestAMemberWithLessThanItHadDoesNotStart(t *testing.T) {
	members := threeMembers(t)
	third := members[2]
	data, beside := third.cfg.DataDir, third.cfg.DataDir+config.EtcdMemberSuffix
	image := t.TempDir()

	third.stop()
	copyTree(t, data, filepath.Join(image, "data"))
	copyTree(t, beside, filepath.Join(image, "beside"))
	third.start(t) // it is what it was
	first := members[0].dial(t)
	for i := range 20 {
		retry(t, "write", func(ctx context.Context) error { _, err := first.Put(ctx, "k", fmt.Sprint(i)); return err })
	}
	retry(t, "have all", func(ctx context.Context) error {
		got, err := third.dial(t).Get(ctx, "k")
		if err == nil && string(got.Kvs[0].Value) != "19" {
			err = fmt.Errorf("it has %s", got.Kvs[0].Value)
		}
		return err
	})
	third.stop()
	copyTree(t, data, filepath.Join(image, "data now"))
	copyTree(t, beside, filepath.Join(image, "beside now"))

	check(t, os.RemoveAll(data))
	if why := third.refuses(t); !strings.Contains(why, "is empty, but this server is member") {
		t.Errorf("emptied: %s", why)
	}
	// Where what is beside the data is lost too, the others know that it was started.
	s, err := New(third.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	urls := []string{members[0].url(), members[1].url()}
	if !s.startedBefore(t.Context(), urls) {
		t.Error("nobody knows a member that was started")
	}
	other := third.cfg
	other.InitialCluster = map[string]string{"m3": "https://127.0.0.1:1"}
	s, err = New(other, slog.New(slog.DiscardHandler))
	check(t, err)
	if s.startedBefore(t.Context(), urls) {
		t.Error("a member that was never started is known as one that was")
	}
	copyTree(t, filepath.Join(image, "beside now"), beside)
	copyTree(t, filepath.Join(image, "data"), data)
	if why := third.refuses(t); !strings.Contains(why, "older than the membership") || !strings.Contains(why, "this server had come to") {
		t.Errorf("of an image: %s", why)
	}
	copyTree(t, filepath.Join(image, "beside"), beside)
	// It left its record with the others when it started again, after the image was made.
	if why := third.refuses(t); !strings.Contains(why, "older than the membership") || !strings.Contains(why, "the other members know") {
		t.Errorf("the whole disk of an image: %s", why)
	}

	copyTree(t, filepath.Join(image, "data now"), data)
	copyTree(t, filepath.Join(image, "beside now"), beside)
	third.start(t)
	if _, err := os.Stat(filepath.Join(beside, RefusedFile)); !os.IsNotExist(err) {
		t.Errorf("it starts, and still says that it does not: %v", err)
	}
}

func TestAServerThatWasAMemberDoesNotStartAnew(t *testing.T) {
	ca, pair := credentials(t)
	joined := filepath.Join(t.TempDir(), "joined")
	check(t, os.WriteFile(joined, nil, 0o600))
	m := &member{cfg: config.EtcdConfig{
		Name: "m1", DataDir: filepath.Join(t.TempDir(), "data"), Host: "127.0.0.1", ClientPort: ports.Reserve(t), JoinedFile: joined,
		InitialCluster:      map[string]string{"m1": fmt.Sprintf("https://127.0.0.1:%d", ports.Reserve(t))},
		InitialClusterState: "new", InitialClusterToken: "test", CAFile: ca, Server: pair, Peer: pair,
	}}
	if why := m.refuses(t); !strings.Contains(why, "was a member") {
		t.Error(why)
	}
	check(t, os.Remove(joined))
	m.start(t)
}
