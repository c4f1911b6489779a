package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

const (
	// namespace is that of all that chaos makes.
	namespace  = "chaos"
	configMaps = "/api/v1/namespaces/" + namespace + "/configmaps"
	jsonType   = "application/json"
	mergePatch = "application/merge-patch+json"
	// keys are the registers of a round: clients meet at them.
	keys = 4
	// attemptTimeout bounds one attempt of a client, patience all of a request.
	attemptTimeout = time.Second
	patience       = 2 * time.Second
	// pause is a client's between two requests.
	pause = 50 * time.Millisecond
)

// configMap is a register, or an object that was acknowledged.
type configMap struct {
	Kind       string            `json:"kind,omitempty"`
	APIVersion string            `json:"apiVersion,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data"`
}

type metadata struct {
	Name            string            `json:"name,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
}

func (m metadata) revision() int64 {
	n, _ := strconv.ParseInt(m.ResourceVersion, 10, 64)
	return n
}

func newConfigMap(name, purpose string, round int, value string) configMap {
	return configMap{"ConfigMap", "v1", metadata{Name: name, Labels: map[string]string{"chaos": purpose, "round": strconv.Itoa(round)}}, map[string]string{"v": value}}
}

func register(round, i int) string { return fmt.Sprintf("r%d-k%d", round, i) }

// era is the round that clients are in, and what was acknowledged in each.
type era struct {
	mu    sync.Mutex
	round int
	acked map[int][]string
}

func (e *era) now() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.round
}

func (e *era) begin(round int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.round = round
}

func (e *era) ack(round int, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acked[round] = append(e.acked[round], name)
}

// take returns what was acknowledged in a round that is over.
func (e *era) take(round int) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := e.acked[round]
	delete(e.acked, round)
	return names
}

// client reads and writes registers, and creates objects, one request after another.
type client struct {
	id      int
	masters []*master // the first is asked first
	rand    *rand.Rand
	r       *recorder
	era     *era
	n       int
	met     map[string]configMap // what it read last, by key
}

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.request(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// request does one thing, at one master after the other, until one has answered or
// patience is over.
func (c *client) request(ctx context.Context) {
	c.n++
	do, round, start := c.draw(), c.era.now(), c.r.now()
	if round == 0 {
		return
	}
	key := register(round, c.rand.IntN(keys))
	var err error
	attempts := 0
	for deadline := time.Now().Add(patience); attempts == 0 || time.Now().Before(deadline); attempts++ {
		// Of what nobody knows the version there is no swap, nor after an attempt whose
		// outcome is unknown: without a version it would be a write.
		if _, read := c.met[key]; do == judge.Swap && !read {
			do = judge.Read
		}
		var final bool
		final, err = c.attempt(ctx, c.masters[attempts%len(c.masters)], do, key, round, attempts)
		if final {
			break
		}
		if ctx.Err() != nil {
			return // of the run, and not of the cluster
		}
		time.Sleep(10 * time.Millisecond)
	}
	req := judge.Request{Start: start, Took: c.r.now() - start, Attempts: attempts + 1, Failed: err != nil}
	if err != nil {
		req.Error = err.Error()
	}
	c.r.add(judge.Line{Request: &req})
}

func (c *client) draw() string {
	switch n := c.rand.IntN(20); {
	case n < 10:
		return judge.Read
	case n < 15:
		return judge.Write
	case n < 19:
		return judge.Swap
	default:
		return judge.Create
	}
}

// attempt is final when a server has answered it: also a conflict is an answer.
func (c *client) attempt(ctx context.Context, m *master, do, key string, round, attempt int) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	value := fmt.Sprintf("%d-%d-%d", c.id, c.n, attempt) // of this attempt alone
	var got configMap
	op := judge.Op{Client: c.id, Via: m.name, Key: key, Do: do, Value: value, Call: c.r.now()}
	switch do {
	case judge.Read:
		err = m.get(ctx, configMaps+"/"+key, &got)
		op.Value = got.Data["v"]
		if code(err) == http.StatusNotFound { // it was made before anybody asked for it
			err = nil
		}
	case judge.Write:
		err = m.do(ctx, http.MethodPatch, configMaps+"/"+key, mergePatch, map[string]any{"data": map[string]string{"v": value}}, &got)
	case judge.Swap:
		was := c.met[key]
		op.From = was.Data["v"]
		next := newConfigMap(key, "register", round, value)
		next.Metadata.ResourceVersion = was.Metadata.ResourceVersion
		err = m.do(ctx, http.MethodPut, configMaps+"/"+key, jsonType, next, &got)
	case judge.Create:
		op.Key = "ack-" + value
		err = m.do(ctx, http.MethodPost, configMaps, jsonType, newConfigMap(op.Key, "ack", round, value), &got)
	}
	op.Return, op.Outcome, op.Revision = c.r.now(), outcome(err, do != judge.Read), got.Metadata.revision()
	switch {
	case err != nil:
		op.Error = err.Error()
		delete(c.met, key)
	case do == judge.Create:
		c.era.ack(round, op.Key)
	case got.Metadata.ResourceVersion != "":
		c.met[key] = got
	}
	if op.Outcome == judge.Conflict {
		err = nil
	}
	c.r.add(judge.Line{Op: &op})
	return err == nil, err
}
