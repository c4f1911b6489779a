package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// cluster is a model of what the changes change.
type cluster struct {
	members map[string]bool // by name: whether it votes
	nodes   map[string]bool // by name: whether it is cordoned
	evicted map[string]Eviction
	revoked []string
	marked  bool

	rewritten int
	failures  error
}

func (c *cluster) Add(_ context.Context, name, url string, empty bool) (map[string]string, error) {
	if empty {
		delete(c.members, name)
	}
	if _, known := c.members[name]; !known {
		c.members[name] = false
	}
	return map[string]string{name: url}, c.failures
}
func (c *cluster) Promote(_ context.Context, name, _ string) error {
	c.members[name] = true
	return c.failures
}
func (c *cluster) Cordon(_ context.Context, node string) (bool, error) {
	_, found := c.nodes[node]
	if found {
		c.nodes[node] = true
	}
	return found, c.failures
}
func (c *cluster) Uncordon(_ context.Context, node string) error {
	c.nodes[node] = false
	return c.failures
}
func (c *cluster) Evict(_ context.Context, node string, o Eviction) error {
	c.evicted[node] = o
	return c.failures
}
func (c *cluster) Delete(_ context.Context, node string) error {
	delete(c.nodes, node)
	return c.failures
}
func (c *cluster) Revoke(_ context.Context, node string) error {
	c.revoked = append(c.revoked, node)
	return c.failures
}

func (c *cluster) Rewrite(context.Context) error {
	c.rewritten++
	return c.failures
}

type marks struct{ *cluster }

func (m marks) Update(context.Context) error {
	m.marked = true
	return m.failures
}

type etcd struct{ *cluster }

func (e etcd) Remove(_ context.Context, name, _ string) error {
	delete(e.members, name)
	return e.failures
}

func newCluster() *cluster {
	return &cluster{members: map[string]bool{"m1": true}, nodes: map[string]bool{"w1": false}, evicted: map[string]Eviction{}}
}

// Each change of a cluster says what it does, does it, and may be made twice.
func TestChangesOfACluster(t *testing.T) {
	c := newCluster()
	var initial map[string]string
	missing := 0
	for _, tc := range []struct {
		change Change
		says   string
		is     func() bool
	}{
		{AddMember{Via: etcd{c}, Name: "m2", PeerURL: "https://m2:2380", Added: func(m map[string]string) { initial = m }},
			"add etcd member m2 (https://m2:2380) as a learner", func() bool { return !c.members["m2"] && initial["m2"] == "https://m2:2380" }},
		{PromoteMember{Via: etcd{c}, Name: "m2"}, "promote etcd member m2 to voter", func() bool { return c.members["m2"] }},
		{AddMember{Via: etcd{c}, Name: "m2", Empty: true, Added: func(map[string]string) {}},
			"add etcd member m2 () as a learner", func() bool { return !c.members["m2"] }},
		{RemoveMember{Via: etcd{c}, Name: "m2", PeerURL: "https://m2:2380"}, "remove etcd member m2 (https://m2:2380)", func() bool { return len(c.members) == 1 }},
		{CordonNode{Via: c, Node: "w1"}, "cordon node w1", func() bool { return c.nodes["w1"] }},
		{CordonNode{Via: c, Node: "w1", Missing: func() { missing++ }}, "cordon node w1", func() bool { return missing == 0 }},
		{CordonNode{Via: c, Node: "w2"}, "cordon node w2", func() bool { return missing == 0 }},
		{CordonNode{Via: c, Node: "w2", Missing: func() { missing++ }}, "cordon node w2", func() bool { return missing > 0 }},
		{UncordonNode{Via: c, Node: "w1"}, "uncordon node w1", func() bool { return !c.nodes["w1"] }},
		{EvictPods{Via: c, Node: "w1", Eviction: Eviction{Timeout: time.Minute}}, "evict the pods of node w1 within 1m0s",
			func() bool { return c.evicted["w1"].Timeout == time.Minute && !c.evicted["w1"].Last }},
		{EvictPods{Via: c, Node: "w1", Eviction: Eviction{Timeout: time.Minute, Last: true}},
			"evict the pods of node w1 within 1m0s, and end them where no node is left that could take them", func() bool { return c.evicted["w1"].Last }},
		{RevokeCertificates{Via: c, Node: "w1"}, "revoke the certificates of node w1", func() bool { return slices.Contains(c.revoked, "w1") }},
		{UpdateNode{Via: marks{c}, Node: "w1", Differs: []string{"label a is missing", "taint b is no longer wanted"}},
			"update node w1: label a is missing, taint b is no longer wanted", func() bool { return c.marked }},
		{RewriteSecrets{Via: c, Key: "key-1"}, "rewrite all Secrets, encrypted with key-1", func() bool { return c.rewritten > 0 }},
		{DeleteNode{Via: c, Node: "w1"}, "delete node w1", func() bool { return len(c.nodes) == 0 }},
	} {
		if got := tc.change.String(); got != tc.says {
			t.Errorf("it says %q, want %q", got, tc.says)
		}
		if tc.change.Done(Seen{}) {
			t.Errorf("%s: done without being made", tc.says)
		}
		for range 2 {
			if err := tc.change.Apply(t.Context(), nil, Seen{}); err != nil || !tc.is() {
				t.Errorf("%s: not made (%v)", tc.says, err)
			}
		}
		c.failures = errors.New("no API")
		before := missing
		if err := tc.change.Apply(t.Context(), nil, Seen{}); !errors.Is(err, c.failures) || missing != before {
			t.Errorf("%s: its failure is %v", tc.says, err)
		}
		c.failures = nil
	}
	voted := PromoteMember{Unless: "/joined"}
	if !voted.Done(Seen{Files: map[string]host.FileInfo{"/joined": {}}}) || !slices.Equal(voted.Watch().Files, []string{"/joined"}) {
		t.Error("a member that votes is promoted again")
	}
}

// journalled is a host that keeps a journal, or cannot.
type journalled struct {
	host.Host
	mu     sync.Mutex
	data   bytes.Buffer
	writes int
	err    error
	began  chan struct{} // told of each write
	goOn   chan struct{} // waited for in each write, where it is not nil
}

func (h *journalled) Name() string { return "master" }
func (h *journalled) Run(_ context.Context, c host.Command) ([]byte, error) {
	if h.goOn != nil {
		h.began <- struct{}{}
		<-h.goOn
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes++
	if h.err == nil {
		h.data.Write(c.Stdin)
	}
	return nil, h.err
}

func (h *journalled) entries(t *testing.T) (out []entry) {
	t.Helper()
	d := json.NewDecoder(&h.data)
	for d.More() {
		var e entry
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestARunOfClusterChangesIsToldAndJournalled(t *testing.T) {
	for name, tc := range map[string]struct {
		fails error
		want  []string
	}{
		"it succeeds": {nil, []string{"cordon began", "cordon done", "delete began", "delete done"}},
		"it fails":    {errors.New("no API"), []string{"cordon began", "cordon failed"}},
	} {
		c, h := newCluster(), &journalled{}
		c.failures = tc.fails
		var told []string
		r := Runner{Now: time.Now, Title: "w1 (192.0.2.1)", Journal: HostJournal{h}, Events: func(e Event) {
			if e.Host != "w1 (192.0.2.1)" || (e.State == Failed) != (e.Err != nil) {
				t.Errorf("%s: event %+v", name, e)
			}
			told = append(told, e.Step+" "+string(e.State))
		}}
		steps := []Step{{Name: "cordon", Changes: []Change{CordonNode{Via: c, Node: "w1"}}}, {Name: "delete", Changes: []Change{DeleteNode{Via: c, Node: "w1"}}}}
		err := r.Run(t.Context(), nil, Seen{}, steps)
		var failed *Error
		if errors.As(err, &failed) != (tc.fails != nil) || failed != nil && (failed.Step != "cordon" || failed.Change != "cordon node w1" || failed.Host != "w1 (192.0.2.1)") {
			t.Errorf("%s: %v", name, err)
		}
		var kept []string
		for _, e := range h.entries(t) {
			if e.Host != "w1 (192.0.2.1)" || (e.Error != "") != (e.State == Failed) {
				t.Errorf("%s: entry %+v", name, e)
			}
			kept = append(kept, e.Step+" "+string(e.State))
		}
		if !slices.Equal(told, tc.want) || !slices.Equal(kept, tc.want) {
			t.Errorf("%s: told %v, kept %v", name, told, kept)
		}
	}
}

// A host that cannot keep its journal is not worked on.
func TestNothingIsDoneWithoutAJournalOfTheHost(t *testing.T) {
	c, h := newCluster(), &journalled{err: errors.New("No space left on device")}
	r := Runner{Now: time.Now, Journal: HostJournal{h}}
	err := r.Run(t.Context(), h, Seen{}, []Step{{Name: "delete", Changes: []Change{DeleteNode{Via: c, Node: "w1"}}}})
	if !errors.Is(err, h.err) || !strings.Contains(err.Error(), "write the journal") || len(c.nodes) != 1 {
		t.Errorf("%v, and the nodes are %v", err, c.nodes)
	}
	if err := (Runner{Now: time.Now}).Run(t.Context(), h, Seen{}, []Step{{Name: "delete", Changes: []Change{DeleteNode{Via: c, Node: "w1"}}}}); err != nil || len(c.nodes) != 0 {
		t.Errorf("without a journal: %v, and the nodes are %v", err, c.nodes)
	}
}

// Nobody waits for the journal of a cluster but its Close; lines that wait are written
// together.
func TestTheJournalOfAClusterHoldsNobodyUp(t *testing.T) {
	h := &journalled{began: make(chan struct{}), goOn: make(chan struct{})}
	j := &ClusterJournal{Host: h, Failed: func(err error) { t.Error(err) }}
	j.Close() // of one that was never written to
	for i, line := range []string{"a\n", "b\n", "c\n"} {
		if err := j.Append(t.Context(), []byte(line)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-h.began
		}
	}
	h.goOn <- struct{}{}
	<-h.began
	h.goOn <- struct{}{}
	j.Close()
	if got := h.data.String(); got != "a\nb\nc\n" || h.writes != 2 {
		t.Errorf("%d writes of %q", h.writes, got)
	}
	h.goOn = nil
	if err := j.Append(t.Context(), []byte("d\n")); err != nil {
		t.Fatal(err)
	}
	if j.Close(); h.data.String() != "a\nb\nc\nd\n" {
		t.Errorf("written later: %q", h.data.String())
	}
}

func TestAMasterThatCannotKeepTheJournalIsToldOfOnce(t *testing.T) {
	h := &journalled{err: errors.New("No space left on device")}
	told := 0
	j := &ClusterJournal{Host: h, Failed: func(err error) {
		if !errors.Is(err, h.err) {
			t.Errorf("told %v", err)
		}
		told++
	}}
	for range 3 {
		if err := j.Append(t.Context(), []byte("a\n")); err != nil {
			t.Errorf("it holds somebody up: %v", err)
		}
		j.Close()
	}
	if told != 1 || h.writes != 1 {
		t.Errorf("told %d times, %d writes", told, h.writes)
	}
}
