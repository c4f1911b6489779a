package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// ManagedBy is the value of the label [networkingv1.LabelManagedBy] of IPAddresses that
// are the allocator's: upstream's, so that a cluster's tools know them.
const ManagedBy = "ipallocator.k8s.io"

// unborn is how long an IPAddress may be without its Service, which is written after it:
// as long as a request lasts.
const unborn = time.Minute

// Store keeps IPAddresses.
type Store interface {
	List(ctx context.Context) ([]networkingv1.IPAddress, error)
	// Delete deletes one as it was listed.
	Delete(ctx context.Context, o *networkingv1.IPAddress) error
}

// NewIPAddress is the IPAddress of a Service.
func NewIPAddress(ip netip.Addr, namespace, name string) *networkingv1.IPAddress {
	o := &networkingv1.IPAddress{Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
		Resource: "services", Namespace: namespace, Name: name,
	}}}
	o.Name = ip.String()
	o.Labels = map[string]string{networkingv1.LabelIPAddressFamily: string(familyOf(ip)), networkingv1.LabelManagedBy: ManagedBy}
	return o
}

// BelongsTo says whether an IPAddress is a Service's.
func BelongsTo(o *networkingv1.IPAddress, namespace, name string) bool {
	p := o.Spec.ParentRef
	return p != nil && p.Group == "" && p.Resource == "services" && p.Namespace == namespace && p.Name == name
}

// repairObjects makes IPAddresses agree with Services, which are the truth: those of
// Services that an earlier release made are missing, a crash leaves one without its
// Service, and anybody may write or delete one.
func (a *Allocator) repairObjects(ctx context.Context, list func(context.Context) ([]corev1.Service, error), now time.Time, log *slog.Logger) error {
	// The objects are read first: a Service that comes after that has its own.
	objects, err := a.objects.List(ctx)
	if err != nil {
		return fmt.Errorf("list the IPAddresses: %w", err)
	}
	services, err := list(ctx)
	if err != nil {
		return err
	}
	plan := planObjects(services, objects, now)
	var errs []error
	for _, o := range plan.wrong {
		log.Info("deleting an IPAddress that no Service has so", "address", o.Name, "parent", o.Spec.ParentRef)
		errs = append(errs, a.objects.Delete(ctx, o))
	}
	for ip, s := range plan.missing {
		ok, err := a.objects.Create(ctx, ip, s.Namespace, s.Name)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("make IPAddress %s: %w", ip, err))
		case !ok:
			log.Warn("a service has an address whose IPAddress is another's; delete and recreate one of them", "service", s.Namespace+"/"+s.Name, "address", ip)
		}
	}
	return errors.Join(errs...)
}

// objectsPlan is what is wrong, to be deleted first, and what is missing then.
type objectsPlan struct {
	wrong   []*networkingv1.IPAddress
	missing map[netip.Addr]*corev1.Service
}

func planObjects(services []corev1.Service, objects []networkingv1.IPAddress, now time.Time) objectsPlan {
	p := objectsPlan{missing: map[netip.Addr]*corev1.Service{}}
	holders := map[netip.Addr][]*corev1.Service{}
	for i := range services {
		for k := range keys(&services[i]) {
			if ip, is := addressOf(k); is {
				holders[ip] = append(holders[ip], &services[i])
				p.missing[ip] = holders[ip][0]
			}
		}
	}
	for i := range objects {
		o := &objects[i]
		ip, err := netip.ParseAddr(o.Name)
		if err != nil {
			continue
		}
		ours := o.Labels[networkingv1.LabelManagedBy] == ManagedBy
		switch of := holders[ip]; {
		case len(of) == 0:
			// Others' are none of our business.
			if ours && now.Sub(o.CreationTimestamp.Time) > unborn {
				p.wrong = append(p.wrong, o)
			}
		case ours && o.Labels[networkingv1.LabelIPAddressFamily] == string(familyOf(ip)) && ofAny(o, of):
			delete(p.missing, ip)
		default:
			p.wrong = append(p.wrong, o)
		}
	}
	return p
}

// ofAny says whether an IPAddress is one of these Services'. Of two that have the same
// address, by a mistake, one has it rightly.
func ofAny(o *networkingv1.IPAddress, services []*corev1.Service) bool {
	for _, s := range services {
		if BelongsTo(o, s.Namespace, s.Name) {
			return true
		}
	}
	return false
}
