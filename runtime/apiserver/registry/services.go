package registry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/util/dryrun"

	"github.com/gantry-run/gantry/runtime/apiserver/services"
)

// releaseTimeout bounds the return of addresses after a Service is gone. What is
// not returned then, repair finds.
const releaseTimeout = 5 * time.Second

// AllocateServices gives Services their addresses and ports as they are written.
func AllocateServices(s *Store, a *services.Allocator, log *slog.Logger) {
	finish := func(name string, done func(context.Context, bool) error) genericregistry.FinishFunc {
		return func(ctx context.Context, ok bool) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
			defer cancel()
			if err := done(ctx, ok); err != nil {
				log.Warn("cannot release what a service held; repair will", "service", name, "error", err)
			}
		}
	}
	s.BeginCreate = func(ctx context.Context, obj runtime.Object, o *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
		svc := obj.(*corev1.Service)
		s.kind.PrepareForCreate(svc)
		if errs := s.kind.ValidateAddresses(svc, nil); len(errs) > 0 {
			return nil, invalidService(svc, errs)
		}
		done, err := a.Allocate(ctx, svc, nil, dryrun.IsDryRun(o.DryRun))
		if err != nil {
			return nil, allocationError(svc, err)
		}
		return finish(svc.Namespace+"/"+svc.Name, done), nil
	}
	s.BeginUpdate = func(ctx context.Context, obj, old runtime.Object, o *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
		svc, was := obj.(*corev1.Service), old.(*corev1.Service)
		svc.UID = was.UID
		// What the manifest leaves out is carried over first, so that it is not
		// allocated anew.
		s.kind.PrepareForUpdate(svc, was)
		if errs := s.kind.ValidateAddresses(svc, was); len(errs) > 0 {
			return nil, invalidService(svc, errs)
		}
		done, err := a.Allocate(ctx, svc, was, dryrun.IsDryRun(o.DryRun))
		if err != nil {
			return nil, allocationError(svc, err)
		}
		return finish(svc.Namespace+"/"+svc.Name, done), nil
	}
	s.AfterDelete = func(obj runtime.Object, o *metav1.DeleteOptions) {
		svc, ok := obj.(*corev1.Service)
		if !ok || o != nil && dryrun.IsDryRun(o.DryRun) {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		if err := a.Release(ctx, svc); err != nil {
			log.Warn("cannot release what a service held; repair will", "service", svc.Namespace+"/"+svc.Name, "error", err)
		}
	}
}

func allocationError(s *corev1.Service, err error) error {
	var invalid *field.Error
	if errors.As(err, &invalid) {
		return invalidService(s, field.ErrorList{invalid})
	}
	return apierrors.NewInternalError(err)
}

func invalidService(s *corev1.Service, errs field.ErrorList) error {
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), s.Name, errs)
}
