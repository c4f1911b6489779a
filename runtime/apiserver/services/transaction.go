package services

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
)

// transaction is what one write has reserved so far.
type transaction struct {
	a        *Allocator
	owner    string
	old      *corev1.Service // nil on create
	held     map[string]bool // by the object as it was
	own      map[string]bool // held, named by the object as it is to be, or drawn for it
	dryRun   bool
	reserved []string
}

// reserve takes a key; a dry run only looks whether it could. A key that the object holds already is its own, and a key
// of this very write (two protocols on one port) is taken once.
func (t *transaction) reserve(ctx context.Context, key string) (bool, error) {
	if t.held[key] {
		return true, nil
	}
	if t.dryRun {
		who, err := t.a.ledger.Owner(ctx, key)
		return who == "" || who == t.owner, err
	}
	for _, k := range t.reserved {
		if k == key {
			return true, nil
		}
	}
	ok, err := t.a.ledger.Reserve(ctx, key, t.owner)
	if ok {
		t.reserved = append(t.reserved, key)
	}
	return ok, err
}

// draw takes a key that was picked. It must be new: one that the object has already
// stands for another of its ports.
func (t *transaction) draw(ctx context.Context, key string) (bool, error) {
	if t.own[key] {
		return false, nil
	}
	ok, err := t.reserve(ctx, key)
	if ok {
		t.own[key] = true
	}
	return ok, err
}

func (t *transaction) undo(ctx context.Context) error {
	var errs []error
	for _, k := range t.reserved {
		errs = append(errs, t.a.ledger.Release(ctx, k, t.owner))
	}
	t.reserved = nil
	return errors.Join(errs...)
}
