package containerspec

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
)

// fetch reads what a container's variables refer to, each object once.
func (g *Generator) fetch(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (sources, error) {
	src := sources{configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}}
	configMap := func(name string) error {
		return once(src.configMaps, name, func() (*corev1.ConfigMap, error) { return g.Objects.ConfigMap(ctx, pod.Namespace, name) })
	}
	secret := func(name string) error {
		return once(src.secrets, name, func() (*corev1.Secret, error) { return g.Objects.Secret(ctx, pod.Namespace, name) })
	}
	var errs []error
	for _, f := range c.EnvFrom {
		if f.ConfigMapRef != nil {
			errs = append(errs, configMap(f.ConfigMapRef.Name))
		}
		if f.SecretRef != nil {
			errs = append(errs, secret(f.SecretRef.Name))
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			errs = append(errs, configMap(e.ValueFrom.ConfigMapKeyRef.Name))
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			errs = append(errs, secret(e.ValueFrom.SecretKeyRef.Name))
		}
	}
	var err error
	src.services, err = servicesFor(g.Services, pod.Namespace, ptr.Deref(pod.Spec.EnableServiceLinks, true))
	if err := errors.Join(append(errs, err)...); err != nil {
		return src, fmt.Errorf("fetch what the environment refers to: %w", err)
	}
	return src, nil
}

// once reads an object unless it was read already. One that does not exist is nil.
func once[T any](have map[string]*T, name string, get func() (*T, error)) error {
	if _, ok := have[name]; ok {
		return nil
	}
	o, err := get()
	if apierrors.IsNotFound(err) {
		o, err = nil, nil
	}
	have[name] = o
	return err
}
