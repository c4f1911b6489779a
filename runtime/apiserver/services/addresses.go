package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Objects are the IPAddresses by which the API shows who has an address, whether a
// Service has or somebody else.
type Objects interface {
	// Create makes the one of a Service. It reports false when somebody else has the
	// address.
	Create(ctx context.Context, ip netip.Addr, namespace, name string) (bool, error)
	// Release deletes the one of a Service, and does nothing if it is somebody else's.
	Release(ctx context.Context, ip netip.Addr, namespace, name string) error
	// Holder names who has an address, "" for nobody.
	Holder(ctx context.Context, ip netip.Addr) (string, error)
	Store
}

// ShowAddresses makes an IPAddress of each cluster IP that the allocator gives, and
// nobody's of those that have one already. It is called before the allocator is used.
//
// The ledger stays what masters of an earlier release read, so that masters of both can
// serve at once, and it tells apart what an IPAddress does not: a Service from one of the
// same name that is gone.
func (a *Allocator) ShowAddresses(o Objects) {
	a.ledger, a.objects = shownLedger{a.ledger, o}, o
}

// shownLedger is a ledger whose addresses have IPAddresses.
type shownLedger struct {
	Ledger
	objects Objects
}

// addressOf is the address that a key stands for; ok is false for ports.
func addressOf(key string) (netip.Addr, bool) {
	text, is := strings.CutPrefix(key, "ip/")
	if !is {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(text)
	return ip, err == nil
}

// nameOf is the Service of an owner.
func nameOf(owner string) (namespace, name string) {
	namespace, rest, _ := strings.Cut(owner, "/")
	name, _, _ = strings.Cut(rest, "/")
	return namespace, name
}

// Reserve gives a key to owner, and makes its IPAddress.
func (l shownLedger) Reserve(ctx context.Context, key, owner string) (bool, error) {
	ok, err := l.Ledger.Reserve(ctx, key, owner)
	ip, is := addressOf(key)
	if !ok || err != nil || !is {
		return ok, err
	}
	namespace, name := nameOf(owner)
	ok, err = l.objects.Create(ctx, ip, namespace, name)
	if ok && err == nil {
		return true, nil
	}
	if err != nil {
		err = fmt.Errorf("make IPAddress %s: %w", ip, err)
	}
	return false, errors.Join(err, l.Ledger.Release(context.WithoutCancel(ctx), key, owner))
}

// Release deletes the IPAddress of a key and takes it back, if it is owner's.
func (l shownLedger) Release(ctx context.Context, key, owner string) error {
	if ip, is := addressOf(key); is {
		who, err := l.Ledger.Owner(ctx, key)
		if err != nil || who != owner {
			return err
		}
		namespace, name := nameOf(owner)
		if err := l.objects.Release(ctx, ip, namespace, name); err != nil {
			return fmt.Errorf("delete IPAddress %s: %w", ip, err)
		}
	}
	return l.Ledger.Release(ctx, key, owner)
}

// Owner returns who holds a key; for an address that only its IPAddress tells of, who
// that names.
func (l shownLedger) Owner(ctx context.Context, key string) (string, error) {
	who, err := l.Ledger.Owner(ctx, key)
	ip, is := addressOf(key)
	if who != "" || err != nil || !is {
		return who, err
	}
	return l.objects.Holder(ctx, ip)
}
