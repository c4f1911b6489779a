package judge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Outcomes of a request, as its client knows them.
const (
	// OK: it was answered, and a write is acknowledged.
	OK = "ok"
	// Conflict: a conditional write was refused, since the object was another one.
	Conflict = "conflict"
	// Failed: it was refused, or never reached a server; it has no effect.
	Failed = "failed"
	// Unknown: it may have had its effect, or have it yet.
	Unknown = "unknown"
)

// What an [Op] does.
const (
	Read   = "read"
	Write  = "write"  // whatever the value was
	Swap   = "swap"   // if the value is From
	Create = "create" // of an object of its own
)

// Op is one attempt of a client at one API server. No two writes have one value.
type Op struct {
	Client int    `json:"client"`
	Via    string `json:"via"`
	Key    string `json:"key"`
	Do     string `json:"do"`
	// From is what a Swap expects, Value what it or a Write writes, or a Read found.
	From  string `json:"from,omitempty"`
	Value string `json:"value,omitempty"`
	// Revision of the object that was read, or that an acknowledged write made.
	Revision int64         `json:"revision,omitempty"`
	Call     time.Duration `json:"call"`
	Return   time.Duration `json:"return"`
	Outcome  string        `json:"outcome"`
	Error    string        `json:"error,omitempty"`
}

// Request is what a user of the API sees: an operation with its retries, at one
// master after the other.
type Request struct {
	Start    time.Duration `json:"start"`
	Took     time.Duration `json:"took"`
	Attempts int           `json:"attempts"`
	Failed   bool          `json:"failed,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Types of [Seen].
const (
	Event    = "event"
	Deleted  = "deleted"
	Bookmark = "bookmark"
	// Started: a stream begins after Revision, that of a list or of what was seen last.
	Started = "started"
	// Listed: what is before Revision was not watched.
	Listed = "listed"
)

// Seen is what a watcher of the registers got.
type Seen struct {
	At       time.Duration `json:"at"`
	Watcher  string        `json:"watcher"`
	Type     string        `json:"type"`
	Key      string        `json:"key,omitempty"`
	Value    string        `json:"value,omitempty"`
	Revision int64         `json:"revision"`
}

// Process is a process of a pod, as the machine sees it whatever the network does.
type Process struct {
	Host string `json:"host"`
	Pod  string `json:"pod"` // its UID
	PID  int    `json:"pid"`
}

// Alive are the processes that were alive at one moment with the identity of one
// pod of a StatefulSet. One is written when it differs from the one before.
type Alive struct {
	At        time.Duration `json:"at"`
	Identity  string        `json:"identity"`
	Processes []Process     `json:"processes"`
}

// Pod is a pod as a watch of the API told.
type Pod struct {
	At       time.Duration `json:"at"`
	Revision int64         `json:"revision"`
	UID      string        `json:"uid"`
	Name     string        `json:"name"`
	Owner    string        `json:"owner"` // kind/name/UID
	Index    string        `json:"index,omitempty"`
	Node     string        `json:"node,omitempty"`
	Phase    string        `json:"phase"`
	Ready    bool          `json:"ready,omitempty"`
	Deleting bool          `json:"deleting,omitempty"`
	Gone     bool          `json:"gone,omitempty"`
	// Disruption is the reason of its condition DisruptionTarget.
	Disruption string `json:"disruption,omitempty"`
	// Tolerates is how long it stays on a node that is not reached; negative: for ever.
	Tolerates time.Duration `json:"tolerates"`
}

// Node is whether a node is Ready, as a watch of the API told.
type Node struct {
	At    time.Duration `json:"at"`
	Name  string        `json:"name"`
	Ready bool          `json:"ready"`
}

// Lease is a Lease as a watch of the API told: a node's, or of leader election.
type Lease struct {
	At        time.Duration `json:"at"`
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Holder    string        `json:"holder"`
	Acquired  time.Duration `json:"acquired"`
	Renewed   time.Duration `json:"renewed"`
	Lasts     time.Duration `json:"lasts"`
}

// Connection is a request to the Service of the application from a host.
type Connection struct {
	At   time.Duration `json:"at"`
	From string        `json:"from"`
	// Held: on a connection that was open before; otherwise on a new one.
	Held bool `json:"held,omitempty"`
	// Node is where the answer came from, or, of a held connection, the one before.
	Node  string        `json:"node,omitempty"`
	Took  time.Duration `json:"took"`
	Error string        `json:"error,omitempty"`
}

// AndAtOnce is between the names of two faults of one round.
const AndAtOnce = " + "

// Run is what a history is of.
type Run struct {
	Seed uint64 `json:"seed"`
	// Lasted is from the first fault to the end of the last round; zero where the run
	// did not come to its end.
	Lasted time.Duration `json:"lasted"`
	// Others and Waited are as those of a Fault, from the beginning to the end.
	Others float64 `json:"others,omitempty"`
	Waited float64 `json:"waited,omitempty"`
}

// Fault is one round of the nemesis.
type Fault struct {
	Round   int      `json:"round"`
	Name    string   `json:"name"` // of one, or of two
	Targets []string `json:"targets"`
	Detail  string   `json:"detail,omitempty"`
	// Cuts: connections of the targets may break, and their pods may not answer.
	Cuts  bool          `json:"cuts,omitempty"`
	Begin time.Duration `json:"begin"`
	Heal  time.Duration `json:"heal"`
	// Ready is when all was as it should be again, and Over the end of the round.
	Ready time.Duration `json:"ready"`
	Over  time.Duration `json:"over"`
	// Backoff is for how long after that containers waited that had been killed more
	// than once in ten minutes.
	Backoff time.Duration `json:"backoff,omitempty"`
	// Others is which part of the machine's CPUs, from 0 to 1, others than the lab's
	// hosts had from the heal until all was as it should be. Waited is which part of that
	// time something waited for a CPU, be it a host of the lab; 0 where the kernel does
	// not tell, and in histories of before it was asked.
	Others float64 `json:"others,omitempty"`
	Waited float64 `json:"waited,omitempty"`
	// Late is what was amiss ten seconds after the heal, and NotReady what was amiss
	// last where it never ended.
	Late      string   `json:"late,omitempty"`
	NotReady  string   `json:"notReady,omitempty"`
	Leftovers []string `json:"leftovers,omitempty"`
	// Plan is what terraform would change after the heal.
	Plan []string `json:"plan,omitempty"`
	// Lost are acknowledged objects that a list did not have after the heal.
	Lost []string `json:"lost,omitempty"`
	// Repair is how long the apply took that was the heal, and Unapplied what an apply
	// failed with that no other fault stood in the way of.
	Repair    time.Duration `json:"repair,omitempty"`
	Unapplied string        `json:"unapplied,omitempty"`
}

// Line is one line of a history: one of these.
type Line struct {
	Op         *Op         `json:"op,omitempty"`
	Request    *Request    `json:"request,omitempty"`
	Seen       *Seen       `json:"seen,omitempty"`
	Alive      *Alive      `json:"alive,omitempty"`
	Pod        *Pod        `json:"pod,omitempty"`
	Node       *Node       `json:"node,omitempty"`
	Lease      *Lease      `json:"lease,omitempty"`
	Connection *Connection `json:"connection,omitempty"`
	Fault      *Fault      `json:"fault,omitempty"`
	Run        *Run        `json:"run,omitempty"`
}

// History is what happened, each kind in the order in which it was told.
type History struct {
	Ops         []Op
	Requests    []Request
	Seen        []Seen
	Alive       []Alive
	Pods        []Pod
	Nodes       []Node
	Leases      []Lease
	Connections []Connection
	Faults      []Fault
	Runs        []Run
}

// Add appends a line.
func (h *History) Add(l Line) {
	add(&h.Ops, l.Op)
	add(&h.Requests, l.Request)
	add(&h.Seen, l.Seen)
	add(&h.Alive, l.Alive)
	add(&h.Pods, l.Pod)
	add(&h.Nodes, l.Node)
	add(&h.Leases, l.Lease)
	add(&h.Connections, l.Connection)
	add(&h.Faults, l.Fault)
	add(&h.Runs, l.Run)
}

func add[T any](to *[]T, v *T) {
	if v != nil {
		*to = append(*to, *v)
	}
}

// ReadHistory reads lines of JSON, as a run wrote them.
func ReadHistory(r io.Reader) (*History, error) {
	h := &History{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d of the history: %w", n, err)
		}
		h.Add(l)
	}
	return h, lines.Err()
}
