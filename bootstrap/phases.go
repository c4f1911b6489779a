package bootstrap

import (
	"context"
	"strings"
)

// phases is what an operation does, in order: a list of named phases with conditions
// on the state S of the operation.
type phases[S any] struct {
	name string
	list []phase[S]
}

type phase[S any] struct {
	name string
	do   func(S, context.Context) error
	when condition[S]
}

// condition is asked when the phase's turn has come, so that it may depend on what
// the phases before it have found. The zero one always holds.
type condition[S any] struct {
	name  string
	holds func(S) bool
}

func (p phases[S]) then(name string, do func(S, context.Context) error) phases[S] {
	return p.thenWhen(condition[S]{}, name, do)
}

func (p phases[S]) thenWhen(when condition[S], name string, do func(S, context.Context) error) phases[S] {
	p.list = append(p.list[:len(p.list):len(p.list)], phase[S]{name, do, when})
	return p
}

// due are the phases whose conditions hold, as the operation stands.
func (p phases[S]) due(s S) phases[S] {
	out := phases[S]{name: p.name}
	for _, ph := range p.list {
		if ph.due(s) {
			out.list = append(out.list, ph)
		}
	}
	return out
}

func (p phase[S]) due(s S) bool { return p.when.holds == nil || p.when.holds(s) }

// String is one line for each phase, with its condition.
func (p phases[S]) String() string {
	var b strings.Builder
	b.WriteString(p.name + ":\n")
	for _, ph := range p.list {
		b.WriteString("  " + ph.name)
		if ph.when.name != "" {
			b.WriteString(" (when " + ph.when.name + ")")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// run walks the phases and stops at the first that fails. What fails on one host only
// is that host's status, and no failure of a phase.
func (p phases[S]) run(ctx context.Context, s S) error {
	for _, ph := range p.list {
		if !ph.due(s) {
			continue
		}
		if err := ph.do(s, ctx); err != nil {
			return err
		}
	}
	return nil
}
