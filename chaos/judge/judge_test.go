package judge

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

const s = time.Second

// op is an operation of client 0 on key k from a second to another.
func op(do, from, value string, call, ret int, outcome string, revision int64) Op {
	return Op{Via: "m", Key: "k", Do: do, From: from, Value: value, Call: time.Duration(call) * s, Return: time.Duration(ret) * s, Outcome: outcome, Revision: revision}
}

// judged are the rules that a history violates.
func judged(h *History) []string {
	var out []string
	for _, v := range Judge(h) {
		out = append(out, v.Rule)
	}
	return out
}

func check(t *testing.T, h *History, want ...string) {
	t.Helper()
	if got := judged(h); !reflect.DeepEqual(got, want) {
		t.Errorf("violates %v, want %v: %v", got, want, Judge(h))
	}
}

func TestRegisters(t *testing.T) {
	for name, c := range map[string]struct {
		ops  []Op
		want []string
	}{
		"in order":                                        {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Read, "", "a", 3, 4, OK, 1)}, nil},
		"a read of what is not written yet":               {[]Op{op(Read, "", "a", 1, 2, OK, 0), op(Write, "", "a", 3, 4, OK, 1)}, []string{"linearizable"}},
		"a read at the same time sees either":             {[]Op{op(Write, "", "a", 1, 4, OK, 1), op(Read, "", "", 2, 3, OK, 0)}, nil},
		"a read of what was overwritten":                  {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Write, "", "b", 3, 4, OK, 2), op(Read, "", "a", 5, 6, OK, 1)}, []string{"linearizable"}},
		"an acknowledged write is lost":                   {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Read, "", "", 3, 4, OK, 0)}, []string{"linearizable"}},
		"a write of an unknown outcome, much later":       {[]Op{op(Write, "", "a", 1, 2, Unknown, 0), op(Read, "", "", 3, 4, OK, 0), op(Read, "", "a", 5, 6, OK, 1)}, nil},
		"one that is undone":                              {[]Op{op(Write, "", "a", 1, 2, Unknown, 0), op(Read, "", "a", 3, 4, OK, 1), op(Read, "", "", 5, 6, OK, 0)}, []string{"linearizable"}},
		"one that took place before it was asked":         {[]Op{op(Read, "", "a", 1, 2, OK, 1), op(Write, "", "a", 3, 4, Unknown, 0)}, []string{"linearizable"}},
		"one that failed is seen":                         {[]Op{op(Write, "", "a", 1, 2, Failed, 0), op(Read, "", "a", 3, 4, OK, 1)}, []string{"linearizable"}},
		"a read that failed tells nothing":                {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Read, "", "", 3, 4, Failed, 0)}, nil},
		"a swap":                                          {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Swap, "a", "b", 3, 4, OK, 2), op(Read, "", "b", 5, 6, OK, 2)}, nil},
		"a swap of what was overwritten":                  {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Write, "", "c", 3, 4, OK, 2), op(Swap, "a", "b", 5, 6, OK, 3)}, []string{"linearizable"}},
		"two swaps of one value":                          {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Swap, "a", "b", 3, 6, OK, 2), op(Swap, "a", "c", 3, 6, OK, 3)}, []string{"linearizable"}},
		"the second refused":                              {[]Op{op(Write, "", "a", 1, 2, OK, 1), op(Swap, "a", "b", 3, 6, OK, 2), op(Swap, "a", "c", 3, 6, Conflict, 0)}, nil},
		"a swap of what a write of unknown outcome wrote": {[]Op{op(Write, "", "a", 1, 2, Unknown, 0), op(Swap, "a", "b", 3, 4, OK, 2), op(Read, "", "b", 5, 6, OK, 2)}, nil},
		"an unknown swap's expectation is met":            {[]Op{op(Write, "", "a", 1, 2, Unknown, 0), op(Swap, "a", "b", 3, 4, Unknown, 0), op(Read, "", "b", 5, 6, OK, 2)}, nil},
	} {
		t.Run(name, func(t *testing.T) { check(t, &History{Ops: c.ops}, c.want...) })
	}
}

func TestTheSuspectIsNamed(t *testing.T) {
	h := &History{Ops: []Op{op(Write, "", "a", 1, 2, OK, 1), op(Write, "", "b", 3, 4, OK, 2), op(Read, "", "a", 5, 6, OK, 1)}}
	if got := Judge(h)[0].Text; !strings.Contains(got, `client 0 read "a" through m at 5s, which was overwritten by "b" (acknowledged at 4s)`) {
		t.Error(got)
	}
	h = &History{Ops: []Op{op(Read, "", "x", 5, 6, OK, 1)}}
	if got := Judge(h)[0].Text; !strings.Contains(got, `client 0 read "x" through m at 5s, which nobody wrote`) {
		t.Error(got)
	}
}

func TestWatches(t *testing.T) {
	seen := func(kind, value string, revision int64) Seen {
		return Seen{Watcher: "w", Type: kind, Key: "k", Value: value, Revision: revision}
	}
	writes := []Op{op(Write, "", "a", 1, 2, OK, 11), op(Write, "", "b", 3, 4, OK, 12), op(Write, "", "c", 5, 6, OK, 14)}
	for name, c := range map[string]struct {
		seen []Seen
		want []string
	}{
		"all":                                {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Event, "b", 12), seen(Event, "c", 14)}, nil},
		"not that far":                       {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11)}, nil},
		"begun later":                        {[]Seen{seen(Listed, "", 12), seen(Event, "c", 14)}, nil},
		"a gap":                              {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Event, "c", 14)}, []string{"watch"}},
		"a gap that a list explains":         {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Listed, "", 13), seen(Event, "c", 14)}, nil},
		"a gap before a bookmark":            {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Bookmark, "", 12)}, []string{"watch"}},
		"a bookmark of what was seen":        {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Bookmark, "", 11)}, nil},
		"a bookmark that steps back":         {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Bookmark, "", 10)}, []string{"watch"}},
		"twice":                              {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Event, "a", 11)}, []string{"watch"}},
		"a step back":                        {[]Seen{seen(Listed, "", 10), seen(Event, "b", 12), seen(Event, "a", 11)}, []string{"watch"}},
		"a list that steps back":             {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Listed, "", 9)}, []string{"watch"}},
		"a stream that goes on":              {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Started, "", 11), seen(Event, "b", 12)}, nil},
		"a stream that begins elsewhere":     {[]Seen{seen(Listed, "", 10), seen(Event, "a", 11), seen(Started, "", 12)}, []string{"watch"}},
		"another value than was written":     {[]Seen{seen(Listed, "", 10), seen(Event, "x", 11)}, []string{"watch"}},
		"what was deleted steps on":          {[]Seen{seen(Listed, "", 14), seen(Deleted, "c", 15), seen(Deleted, "c", 15)}, []string{"watch"}},
		"an event on what a list began with": {[]Seen{seen(Listed, "", 11), seen(Event, "b", 12)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, &History{Seen: c.seen, Ops: writes}, c.want...)
		})
	}
	check(t, &History{Seen: []Seen{seen(Listed, "", 10), seen(Event, "b", 12)}, Ops: []Op{op(Write, "", "a", 1, 2, Unknown, 11), op(Read, "", "a", 1, 2, OK, 11), op(Create, "", "a", 1, 2, OK, 11)}})
}

func TestIdentities(t *testing.T) {
	check(t, &History{Alive: []Alive{{At: s, Identity: "db-0", Processes: []Process{{"a", "u", 1}}}, {At: 2 * s, Identity: "db-0"}}})
	check(t, &History{Alive: []Alive{{At: s, Identity: "db-0", Processes: []Process{{"a", "u", 1}, {"b", "v", 2}}}}}, "identity")
}

func TestCompletions(t *testing.T) {
	pod := func(uid, index, phase string) Pod {
		return Pod{UID: uid, Name: uid, Owner: "Job/j/1", Index: index, Phase: phase}
	}
	gone := pod("b", "0", "Succeeded")
	gone.Gone = true
	for name, c := range map[string]struct {
		pods []Pod
		want []string
	}{
		"once":                           {[]Pod{pod("a", "0", "Running"), pod("a", "0", "Succeeded"), pod("a", "0", "Succeeded")}, nil},
		"again, since it was lost":       {[]Pod{pod("a", "0", "Running"), pod("b", "0", "Running"), pod("b", "0", "Succeeded")}, nil},
		"again, though it had succeeded": {[]Pod{pod("a", "0", "Succeeded"), pod("b", "0", "Pending"), pod("b", "0", "Running")}, []string{"completion"}},
		"one that was there before":      {[]Pod{pod("b", "0", "Running"), pod("a", "0", "Succeeded"), pod("b", "0", "Running")}, nil},
		"another completion":             {[]Pod{pod("a", "0", "Succeeded"), pod("b", "1", "Running")}, nil},
		"the end of one not seen":        {[]Pod{pod("a", "0", "Succeeded"), gone}, nil},
		"not of a Job":                   {[]Pod{pod("a", "", "Succeeded"), pod("b", "", "Running")}, nil},
	} {
		t.Run(name, func(t *testing.T) { check(t, &History{Pods: c.pods}, c.want...) })
	}
}

func TestEvictions(t *testing.T) {
	lease := func(renewed int) Lease {
		return Lease{Namespace: nodeLeases, Name: "n", Renewed: time.Duration(renewed) * s}
	}
	node := func(at int, ready bool) Node { return Node{At: time.Duration(at) * s, Name: "n", Ready: ready} }
	evicted := func(at int, tolerates time.Duration) Pod {
		return Pod{At: time.Duration(at) * s, UID: "u", Name: "p", Node: "n", Deleting: true, Disruption: taintEviction, Tolerates: tolerates}
	}
	for name, c := range map[string]struct {
		pod    Pod
		nodes  []Node
		leases []Lease
		want   []string
	}{
		"silent for long":                    {evicted(100, 30*s), []Node{node(1, true), node(80, false)}, []Lease{lease(70)}, nil},
		"silent for less":                    {evicted(100, 30*s), []Node{node(1, true), node(80, false)}, []Lease{lease(71)}, []string{"eviction"}},
		"another node is silent":             {evicted(100, 30*s), []Node{node(1, true)}, []Lease{{Namespace: nodeLeases, Name: "m", Renewed: 10 * s}, lease(99)}, []string{"eviction"}},
		"not Ready for long, by its word":    {evicted(100, 30*s), []Node{node(1, true), node(60, false)}, []Lease{lease(99)}, nil},
		"not Ready for less":                 {evicted(100, 30*s), []Node{node(1, true), node(60, false), node(75, true), node(80, false)}, []Lease{lease(99)}, []string{"eviction"}},
		"told again that it is not":          {evicted(100, 30*s), []Node{node(1, true), node(60, false), node(80, false)}, []Lease{lease(99)}, nil},
		"Ready again":                        {evicted(100, 30*s), []Node{node(1, true), node(60, false), node(75, true)}, []Lease{lease(99)}, []string{"eviction"}},
		"tolerates for ever":                 {evicted(900, -1), []Node{node(1, true), node(80, false)}, []Lease{lease(70)}, []string{"eviction"}},
		"a lease that is renewed afterwards": {evicted(100, 30*s), []Node{node(1, true), node(80, false)}, []Lease{lease(70), lease(101)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, &History{Pods: []Pod{c.pod, c.pod}, Nodes: c.nodes, Leases: c.leases}, c.want...)
		})
	}
	drained := evicted(100, 30*s)
	drained.Disruption = "EvictionByEvictionAPI"
	check(t, &History{Pods: []Pod{drained}, Leases: []Lease{lease(99)}})
	told := evicted(100, 30*s)
	told.Deleting = false
	check(t, &History{Pods: []Pod{told}, Leases: []Lease{lease(99)}})
}

func TestLeaders(t *testing.T) {
	held := func(by string, acquired, renewed int) Lease {
		return Lease{Namespace: leaderLeases, Name: "l", Holder: by, Acquired: time.Duration(acquired) * s, Renewed: time.Duration(renewed) * s, Lasts: 15 * s}
	}
	check(t, &History{Leases: []Lease{held("a", 1, 10), held("a", 1, 12), held("b", 27, 27)}})
	check(t, &History{Leases: []Lease{held("a", 1, 10), held("a", 1, 12), held("b", 26, 26)}}, "leader")
	check(t, &History{Leases: []Lease{held("a", 1, 12), held("", 1, 13), held("b", 14, 14)}})
	other := held("b", 13, 13)
	other.Name = "m"
	check(t, &History{Leases: []Lease{held("a", 1, 12), other}})
	node := held("b", 13, 13)
	node.Namespace = nodeLeases
	check(t, &History{Leases: []Lease{held("a", 1, 12), node}})
}

func TestConnections(t *testing.T) {
	fault := Fault{Name: "power", Targets: []string{"w1"}, Cuts: true, Begin: 10 * s, Heal: 20 * s, Over: 30 * s}
	harmless := Fault{Name: "kill", Targets: []string{"w1"}, Begin: 40 * s, Heal: 41 * s, Over: 50 * s}
	broke := func(at int, from, node string) Connection {
		return Connection{At: time.Duration(at) * s, From: from, Node: node, Held: true, Took: s, Error: "reset"}
	}
	for name, c := range map[string]struct {
		connection Connection
		want       []string
	}{
		"to the target":          {broke(15, "w2", "w1"), nil},
		"from the target":        {broke(15, "w1", "w2"), nil},
		"between others":         {broke(15, "w2", "w3"), []string{"connection"}},
		"before":                 {broke(8, "w2", "w1"), []string{"connection"}},
		"begun before":           {broke(9, "w2", "w1"), nil},
		"afterwards":             {broke(31, "w2", "w1"), []string{"connection"}},
		"a fault that cuts none": {broke(45, "w2", "w1"), []string{"connection"}},
		"a new one":              {Connection{At: 15 * s, From: "w2", Error: "timeout"}, nil},
		"it answered":            {Connection{At: 15 * s, From: "w2", Node: "w3", Held: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, &History{Connections: []Connection{c.connection}, Faults: []Fault{fault, harmless}}, c.want...)
		})
	}
}

// TestStandstill: nobody is heard of for a while, and then everybody is late.
func TestStandstill(t *testing.T) {
	broke := Connection{At: 3 * s, Took: 5 * s, From: "w2", Node: "w3", Held: true, Error: "timeout"}
	asked := func(ends ...time.Duration) []Connection {
		out := []Connection{broke}
		for _, e := range ends {
			out = append(out, Connection{At: e, From: "w1"})
		}
		return out
	}
	check(t, &History{Connections: asked(2*s, 4*s, 6*s, 8*s)}, "connection")
	check(t, &History{Connections: asked(2*s, 4*s, 6*s+1, 8*s)})
	check(t, &History{Connections: asked(0, 3*s, 5*s, 7*s, 8*s, 20*s)}, "connection") // before, and after
}

func TestHeals(t *testing.T) {
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 20 * s}}})
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 20*s + 1}}}, "ready")
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 30 * s, Others: 0.5}}})
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 30*s + 1, Others: 0.5}}}, "ready")
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 110 * s, Others: 0.9}}})
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 110*s + 1, Others: 0.9}}}, "ready")
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 310 * s, Others: 0.99}}})
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 310*s + 1, Others: 1}}}, "ready")
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 30 * s, Waited: 0.5, Others: 0.1}}}) // the lab's own boots
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 30*s + 1, Waited: 0.5, Others: 0.1}}}, "ready")
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 30 * s, Waited: 0.1, Others: 0.5}}}) // a hypervisor
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 39 * s, Waited: 1}}})                // and no more, whatever it is that never rests
	check(t, &History{Faults: []Fault{{Heal: 10 * s, Ready: 41 * s, Waited: 1}}}, "ready")
	check(t, &History{Faults: []Fault{{Unapplied: "it ended"}}}, "plan")
	check(t, &History{Faults: []Fault{{NotReady: "node n", Leftovers: []string{"a mount"}, Plan: []string{"update"}, Lost: []string{"w-1"}}}}, "ready", "leftover", "plan", "lost")
}

func TestFigures(t *testing.T) {
	request := func(start, took int, failed bool) Request {
		return Request{Start: time.Duration(start) * s, Took: time.Duration(took) * s, Failed: failed}
	}
	ready := func(at int, uid, node string, ready bool) Pod {
		return Pod{At: time.Duration(at) * s, UID: uid, Owner: "ReplicaSet/hello-1/x", Node: node, Ready: ready}
	}
	h := &History{
		Faults: []Fault{
			{Name: "power", Targets: []string{"w1"}, Begin: 10 * s, Heal: 100 * s, Ready: 103 * s, Over: 110 * s},
			{Name: "power", Targets: []string{"w2"}, Begin: 200 * s, Heal: 205 * s, Ready: 206 * s, Over: 210 * s},
			{Name: "kill", Targets: []string{"m1"}, Begin: 300 * s, Heal: 300 * s, Over: 310 * s, NotReady: "x", Lost: []string{"w"}},
			{Name: "power + kill", Begin: 400 * s, Heal: 401 * s, Ready: 402 * s, Over: 410 * s, Repair: 5 * s},
			{Name: "kill + pause", Begin: 500 * s, Heal: 501 * s, Ready: 501 * s, Over: 510 * s},
		},
		Requests: []Request{request(1, 5, true), request(8, 3, false), request(12, 4, true), request(110, 9, true), request(201, 1, false)},
		Connections: []Connection{
			{At: 14 * s, From: "w2", Error: "dial tcp: refused"}, {At: 16 * s, From: "w1", Error: "dial x"}, {At: 17 * s, From: "w2"},
			{At: 18 * s, From: "w2", Held: true, Error: "dial x"}, {At: 9 * s, From: "w2", Error: "dial x"},
			{At: 20 * s, From: "w2", Error: "read tcp: timeout"}, {At: 103 * s, From: "w2", Error: "dial x"}, {At: 206 * s, From: "w1", Error: "dial x"},
		},
		Pods: []Pod{ready(1, "a", "w1", true), ready(1, "b", "w2", true), ready(60, "a", "w1", false), ready(70, "c", "w3", false), ready(73, "c", "w3", true)},
	}
	want := []Figures{
		{Fault: "kill", Rounds: 1, Lost: 1},
		{Fault: "power", Rounds: 2, Requests: 3, Failed: 1, Slowest: 4 * s, Ready: []time.Duration{3 * s, s}, Dead: 4 * s, Elsewhere: 63 * s},
		{Fault: "two at once", Rounds: 2, Ready: []time.Duration{s, 0}, Repair: []time.Duration{5 * s}},
	}
	got := Measure(h, "ReplicaSet/hello-", 2)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var table strings.Builder
	if err := WriteTable(&table, got); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| power | 2 | 3 | 1 | 4.00 s | 0 | 2.00 s, 3.00 s | 4.00 s | 63.00 s | – |\n", "| kill | 1 | 0 | 0 | – | 1 | never | – | – | – |\n",
		"| two at once | 2 | 0 | 0 | – | 0 | 0.50 s, 1.00 s | – | – | 5.00 s, 5.00 s |\n",
	} {
		if !strings.Contains(table.String(), row) {
			t.Errorf("there is no row %s\n%s", row, &table)
		}
	}
	other := []Figures{{Fault: "kill", Rounds: 2, Requests: 3, Failed: 1, Slowest: s, Ready: []time.Duration{s}, Dead: s, Elsewhere: s, Lost: 2}, {Fault: "pause"}}
	both := Merge(got, other)
	if k := (Figures{Fault: "kill", Rounds: 3, Requests: 3, Failed: 1, Slowest: s, Ready: []time.Duration{s}, Dead: s, Elsewhere: s, Lost: 3}); !reflect.DeepEqual(both[0], k) || len(both) != 4 || both[1].Fault != "pause" {
		t.Errorf("two runs together are %+v", both)
	}
}

// TestHistory: what is written is read again, each kind of line.
func TestHistory(t *testing.T) {
	lines := []Line{
		{Op: &Op{Key: "k", Call: s}}, {Request: &Request{Start: s}}, {Seen: &Seen{Revision: 3}}, {Alive: &Alive{Identity: "db-0"}}, {Pod: &Pod{UID: "u"}},
		{Node: &Node{Name: "n"}}, {Lease: &Lease{Holder: "h"}}, {Connection: &Connection{From: "f"}}, {Fault: &Fault{Name: "power"}}, {Run: &Run{Seed: 1}},
	}
	var want History
	var file bytes.Buffer
	for _, l := range lines {
		want.Add(l)
		if err := json.NewEncoder(&file).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadHistory(&file)
	if err != nil || !reflect.DeepEqual(got, &want) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
	all := reflect.ValueOf(want)
	for i := range all.NumField() {
		if all.Field(i).Len() != 1 {
			t.Errorf("no line is of %s", all.Type().Field(i).Name)
		}
	}
	if _, err := ReadHistory(strings.NewReader("{}\n{")); err == nil || !strings.Contains(err.Error(), "line 2 of the history") {
		t.Error(err)
	}
}
