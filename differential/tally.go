package main

import (
	"sync"

	"github.com/gantry-run/gantry/differential/compare"
)

// count is how many answers there were.
type count struct{ total, same, meant, texts, sameTexts int }

func (c *count) add(o count) {
	c.total += o.total
	c.same += o.same
	c.meant += o.meant
	c.texts += o.texts
	c.sameTexts += o.sameTexts
}

// group is a difference in one kind.
type group struct {
	kind, difference string
	operations       map[string]int
	n                int
	example          exchange
}

// exchange is a request with both answers.
type exchange struct {
	How      string
	Request  [2]request
	Upstream compare.Answer
	Ours     compare.Answer
}

// tally is what was seen, by kind and operation.
type tally struct {
	mu         sync.Mutex
	exceptions compare.Exceptions
	counts     map[[2]string]*count
	groups     map[[2]string]*group
	reasons    map[string]int
	// refused are seeds that upstream does not take, with its answer: faults of the corpus.
	refused map[string]compare.Answer
}

func newTally(x compare.Exceptions) *tally {
	return &tally{exceptions: x, counts: map[[2]string]*count{}, groups: map[[2]string]*group{}, reasons: map[string]int{}, refused: map[string]compare.Answer{}}
}

// note counts an exchange with its differences.
func (t *tally) note(kind, operation string, diffs []compare.Difference, x exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[[2]string{kind, operation}]
	if c == nil {
		c = &count{}
		t.counts[[2]string{kind, operation}] = c
	}
	c.total++
	if len(diffs) == 0 {
		c.same++
		if x.Upstream.Code >= 400 {
			c.texts++
			if compare.SameText(x.Upstream, x.Ours) {
				c.sameTexts++
			}
		}
		return
	}
	if reason, ok := t.exceptions.Cover(kind, operation, diffs); ok {
		c.meant++
		t.reasons[reason]++
		return
	}
	for _, d := range diffs {
		key := [2]string{kind, string(d)}
		g := t.groups[key]
		if g == nil {
			g = &group{kind: kind, difference: string(d), operations: map[string]int{}, example: x}
			t.groups[key] = g
		}
		g.n++
		g.operations[operation]++
	}
}

// refuse notes a seed that upstream refused.
func (t *tally) refuse(kind string, a compare.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused[kind] = a
}

func (t *tally) sum() count {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all count
	for _, c := range t.counts {
		all.add(*c)
	}
	return all
}

// same is the share of answers that are the same, of those that are not meant to differ.
func (t *tally) same() float64 {
	c := t.sum()
	return share(c.same, c.total-c.meant)
}

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}
