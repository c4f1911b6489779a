package services

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// repairInterval is the time between two looks at the ledger.
const repairInterval = 3 * time.Minute

// Repair makes ledger and Services agree at the start and then every few minutes,
// until ctx is done: a crash between two writes leaves a reservation without a
// Service, a restored snapshot the reverse. An entry without a Service is released
// only when it was so at two looks, since the Service may be about to be written.
func (a *Allocator) Repair(ctx context.Context, list func(context.Context) ([]corev1.Service, error), log *slog.Logger) {
	orphans := map[string]string{}
	for {
		next, err := a.repair(ctx, list, orphans, log)
		if err == nil && a.objects != nil {
			err = a.repairObjects(ctx, list, time.Now(), log)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("cannot compare services with their addresses; trying again", "error", err)
		} else {
			orphans = next
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(repairInterval):
		}
	}
}

func (a *Allocator) repair(ctx context.Context, list func(context.Context) ([]corev1.Service, error), suspects map[string]string, log *slog.Logger) (map[string]string, error) {
	// The ledger is read first: what is reserved after that is not looked at.
	held, err := a.ledger.All(ctx)
	if err != nil {
		return nil, err
	}
	services, err := list(ctx)
	if err != nil {
		return nil, err
	}
	orphans := maps.Clone(held)
	var errs []error
	for i := range services {
		s := &services[i]
		for k := range keys(s) {
			switch held[k] {
			case owner(s):
				delete(orphans, k)
			case "":
				if _, err := a.ledger.Reserve(ctx, k, owner(s)); err != nil {
					errs = append(errs, err)
				}
			default:
				log.Warn("a service has what the ledger gives to another; delete and recreate one of them",
					"service", s.Namespace+"/"+s.Name, "key", k, "holder", held[k])
			}
		}
	}
	for k, who := range orphans {
		if suspects[k] == who {
			log.Info("releasing what a service that is gone held", "key", k, "holder", who)
			errs = append(errs, a.ledger.Release(ctx, k, who))
		}
	}
	return orphans, errors.Join(errs...)
}
